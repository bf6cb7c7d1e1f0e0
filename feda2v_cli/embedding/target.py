"""Class to target: the points of the target spaces that adapters must hit."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import UsageError
from feda2v_cli.profile.schema import AdapterSection

CODES = "codes"

#: Shape of a class's target in each space: small ones for quick runs, and those of two diffusion pipelines.
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "small": {"clip": (64,), "t5": (4, 64)},
    "flux": {"clip": (768,), "t5": (17, 4096)},
    "sd": {"clip": (77, 768)},
}

#: Codes are drawn with a seed of their own: a class has the same code in every run.
_CODES_SEED = 0


@dataclass(frozen=True)
class Targets:
    """What the adapters must hit for each class.

    Attributes:
        identity: everything that changes them, as plain JSON values.
        description: for the user: which text encoder made them and what that means.
        spaces: by target space, float32 [classes, *shape], classes in the order asked for.
    """

    identity: Mapping[str, str]
    description: str
    spaces: Mapping[str, Tensor]

    @property
    def fingerprint(self) -> str:
        """A short hash of the identity and every number."""
        digest = hashlib.sha256(json.dumps(dict(self.identity), sort_keys=True).encode())
        for name, values in sorted(self.spaces.items()):
            digest.update(name.encode() + values.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def make_targets(section: AdapterSection, classes: Sequence[str]) -> Targets:
    """The targets that a profile names.

    Args:
        section: text encoder, spaces and shapes.
        classes: of the federation.

    Raises:
        UsageError: the shapes lack a space, or do not go with the text encoder.
        MissingError: the dictionary file, or a class in it, is not there.
        FailedError: the dictionary file cannot be used.
    """
    shapes = target_shapes(section)
    if section.targets == CODES:
        return Targets(
            {"name": CODES, "shapes": section.shapes},
            "text encoder codes: a fixed random code for each class name, near-orthogonal to the others; "
            "accuracies mean something, images would not",
            {space: torch.stack([_code(space, name, shape) for name in classes]) for space, shape in shapes.items()},
        )
    from feda2v_cli.embedding.target_file import read_target_file

    return read_target_file(section, shapes, classes)


def target_shapes(section: AdapterSection) -> dict[str, tuple[int, ...]]:
    """Shape of a class's target in each space of a profile.

    Raises:
        UsageError: the shapes lack a space.
    """
    known = SHAPES[section.shapes]
    for space in section.spaces:
        if space not in known:
            raise UsageError(
                f'adapter.shapes = "{section.shapes}" has no target space {space}',
                [f"it has {', '.join(known)}"],
                hint=f"--set 'adapter.spaces={json.dumps(list(known))}'",
            )
    return {space: known[space] for space in section.spaces}


def _code(space: str, name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=random_stream(_CODES_SEED, "code", space, name))
