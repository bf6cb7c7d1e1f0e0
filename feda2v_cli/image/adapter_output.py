"""What adapters make of clips, in the units of the text encoder: what a pipeline takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import normalize

from feda2v_cli.adapter import Adapter
from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.metadata import AdapterMetadata
from feda2v_cli.engine.stack import parameters_of
from feda2v_cli.errors import first_line
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.threads import threads_per_operation


@dataclass(frozen=True)
class Head:
    """The adapter to one target space.

    Attributes:
        adapter: its architecture; its own parameters are not used.
        parameters: by name.
        centre: [*shape], mean of the targets in their own units.
        scale: deviation of the targets in their own units.
    """

    adapter: Adapter
    parameters: Mapping[str, Tensor]
    centre: Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an output."""
        return self.adapter.target

    def scaled(self, standardised: Sequence[Tensor] | Tensor) -> Tensor:
        """Outputs in scaled units, [clips, *shape] on the CPU, one clip after the other: none depends on its company.

        Args:
            standardised: embeddings, [tokens, dim] of each clip; their tokens may differ in number.
        """
        with torch.no_grad(), threads_per_operation(1):
            outputs = [
                functional_call(self.adapter, dict(self.parameters), (clip[None].cpu(),)) for clip in standardised
            ]
        return torch.cat(outputs)

    def __call__(self, standardised: Sequence[Tensor] | Tensor) -> Tensor:
        """Outputs in the targets' own units, [clips, *shape] on the CPU."""
        return self.scaled(standardised) * self.scale + self.centre


def heads_of(spaces: Sequence[Space], adapters: Mapping[str, Tensor]) -> dict[str, Head]:
    """The adapters of a federation that runs.

    Args:
        spaces: of the federation.
        adapters: flat parameters by space, [parameters].
    """
    return {
        space.name: Head(
            space.adapter, parameters_of(adapters[space.name].detach().cpu(), space.shapes), space.centre, space.scale
        )
        for space in spaces
    }


def rebuild_adapters(metadata: AdapterMetadata, state: Mapping[str, Tensor]) -> tuple[Standardisation, dict[str, Head]]:
    """The adapters of a checkpoint, and what their inputs are standardised with.

    Args:
        metadata: says how they are built.
        state: tensors by name.

    Raises:
        Defect: the tensors do not fit the architecture (FA008).
    """
    try:
        dim, hidden = int(metadata.architecture["dim"]), int(metadata.architecture["hidden"])
        targets = {str(name): tuple(map(int, shape)) for name, shape in metadata.architecture["spaces"].items()}
        with torch.device("meta"):
            built = {name: Adapter(dim, hidden, shape) for name, shape in targets.items()}
    except Exception as error:
        raise Defect("FA008", f"has an architecture that cannot be built: {first_line(error):.200}") from error
    expected: dict[str, tuple[int, ...]] = {"embedding.mean": (dim,), "embedding.scale": (dim,)}
    for name, adapter in built.items():
        expected |= {f"{name}.{key}": tuple(value.shape) for key, value in adapter.named_parameters()}
        expected |= {f"{name}.target_centre": targets[name], f"{name}.target_scale": ()}
    for key in sorted(expected.keys() | state.keys()):
        if key not in state:
            raise Defect("FA008", f"tensor {key} is missing", key)
        if key not in expected:
            raise Defect("FA008", f"tensor {key} is not of its architecture", key)
        if tuple(state[key].shape) != expected[key]:
            found = list(state[key].shape)
            raise Defect("FA008", f"tensor {key} has shape {found}, its architecture {list(expected[key])}", key)
    heads = {
        name: Head(
            adapter,
            {key: state[f"{name}.{key}"] for key, _ in adapter.named_parameters()},
            state[f"{name}.target_centre"],
            float(state[f"{name}.target_scale"]),
        )
        for name, adapter in built.items()
    }
    return Standardisation(state["embedding.mean"], state["embedding.scale"]), heads


def similarities(
    heads: Mapping[str, Head], standardised: Sequence[Tensor] | Tensor, points: Mapping[str, Tensor]
) -> Tensor:
    """Cosine between the output for each clip and some points of the target spaces, mean over the spaces.

    Both are centred at the mean target, for text embeddings have a large part in common that tells nothing apart.

    Args:
        heads: adapters by space.
        standardised: embeddings, [tokens, dim] of each clip.
        points: by space, in the targets' own units, [points, *shape].

    Returns:
        [clips, points].
    """
    cosines = []
    for space, head in heads.items():
        outputs = normalize(head.scaled(standardised).flatten(1), dim=1)
        centred = normalize((points[space] - head.centre).flatten(1), dim=1)
        cosines.append(outputs @ centred.T)
    return torch.stack(cosines).mean(0)
