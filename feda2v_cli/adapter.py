"""The adapter: from an audio embedding to one target space."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import gelu, layer_norm

from feda2v_cli.engine.random_stream import random_stream

#: More than any adapter has: a size beyond it is damaged or forged, and is refused before anything is built.
LARGEST_SIZE = 1 << 24


class Adapter(nn.Module):
    """Tokens, a hidden layer, attention pooling, target.

    Learned queries, one an output token, pool the hidden tokens by attention (Lee et al., Set Transformer, 2019,
    section 3.2, without the projections, which the layers around it can learn). What each has pooled is added to its
    query and goes through one more layer. A target without a token axis is pooled by one query.

    Args:
        dim: dimensions of an input token.
        hidden: width of the hidden layers.
        target: shape of the target, [dim] or [tokens, dim].
    """

    def __init__(self, dim: int, hidden: int, target: tuple[int, ...]) -> None:
        super().__init__()
        self.target = target
        self.input = nn.Linear(dim, hidden)
        self.query = nn.Parameter(torch.zeros(target[0] if len(target) == 2 else 1, hidden))
        self.pooled = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, target[-1])

    def forward(self, tokens: Tensor) -> Tensor:
        """Points of the target space, [batch, *target].

        Args:
            tokens: standardised embeddings, [batch, tokens, dim].
        """
        hidden = layer_norm(gelu(self.input(tokens)), self.query.shape[-1:])  # [batch, tokens, hidden]
        weights = (hidden @ self.query.T / self.query.shape[-1] ** 0.5).softmax(1)  # [batch, tokens, outputs]
        pooled = weights.mT @ hidden + self.query  # [batch, outputs, hidden]
        out: Tensor = self.output(pooled + gelu(self.pooled(pooled)))
        return out.view(-1, *self.target)

    @property
    def activations(self) -> int:
        """Numbers that the backward pass keeps for one output token of one item, and for one input token."""
        return 8 * self.query.shape[-1] + 3 * self.target[-1]


def initial_parameters(adapter: Adapter, seed: int, space: str) -> dict[str, Tensor]:
    """Parameters to start from, the same on every node: averaging needs that (McMahan et al., 2017, figure 1).

    Args:
        adapter: says the architecture; its own parameters are not used.
        seed: of the run.
        space: target space.
    """
    random = random_stream(seed, "adapter", space)
    return {
        name: torch.zeros(value.shape)
        if name.endswith("bias")
        else (torch.rand(value.shape, generator=random) * 2 - 1) * value.shape[-1] ** -0.5
        for name, value in adapter.named_parameters()
    }


def adapter_shapes(architecture: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Name, shape and type of every tensor in a checkpoint of adapters. Nothing of their size is allocated.

    Args:
        architecture: dim, hidden, and the shape of the target by space.

    Raises:
        ValueError: a size is missing or senseless.
    """
    dim = _size(architecture.get("dim"), "dim")
    shapes: dict[str, tuple[int, ...]] = {"embedding.mean": (dim,), "embedding.scale": (dim,)}
    for space, adapter in _adapters(architecture).items():
        shapes |= {f"{space}.{name}": tuple(value.shape) for name, value in adapter.named_parameters()}
        shapes |= {f"{space}.target_centre": adapter.target, f"{space}.target_scale": ()}
    return {name: (shape, torch.float32) for name, shape in shapes.items()}


def adapt(architecture: Mapping[str, Any], state: Mapping[str, Tensor], embeddings: Tensor) -> dict[str, Tensor]:
    """Points of every target space in its own units, [batch, *target] by space.

    Args:
        architecture: as `adapter_shapes` takes it.
        state: tensors of the checkpoint.
        embeddings: in their own units, [batch, tokens, dim].
    """
    tokens = (embeddings - state["embedding.mean"]) / state["embedding.scale"]
    points = {}
    for space, adapter in _adapters(architecture).items():
        parameters = {name: state[f"{space}.{name}"] for name, _ in adapter.named_parameters()}
        out = functional_call(adapter, parameters, (tokens,))
        points[space] = out * state[f"{space}.target_scale"] + state[f"{space}.target_centre"]
    return points


def _adapters(architecture: Mapping[str, Any]) -> dict[str, Adapter]:
    """The adapter to each target space, without parameters."""
    dim, hidden = (_size(architecture.get(key), key) for key in ("dim", "hidden"))
    spaces = architecture.get("spaces")
    if not isinstance(spaces, Mapping) or not spaces:
        raise ValueError("it has no target space")
    adapters = {}
    for space, target in spaces.items():
        if not isinstance(target, list | tuple) or len(target) not in (1, 2):
            raise ValueError(f"the shape of target space {space} is {target!r:.40}")
        with torch.device("meta"):
            adapters[space] = Adapter(dim, hidden, tuple(_size(size, f"target space {space}") for size in target))
    return adapters


def _size(value: object, what: str) -> int:
    if type(value) is not int or not 0 < value <= LARGEST_SIZE:
        raise ValueError(f"{what} is {value!r:.40}")
    return value
