"""The adapter: from an audio embedding to one target space."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm

from feda2v_cli.engine.random_stream import random_stream


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
