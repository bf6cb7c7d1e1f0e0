"""Class to target: the points of the target spaces that adapters must hit.

They are codes, or read from a dictionary file in the earlier system's form:
{class: {"sd": [77, 768], "flux": {"prompt_embeds": [1, 17, 4096], "pooled_prompt_embeds": [1, 768]}}}
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import FailedError, MissingError, UsageError, closest, first_line
from feda2v_cli.paths import expanded, is_file
from feda2v_cli.profile.schema import AdapterSection, as_class_name

CODES = "codes"

#: Shape of a class's target in each space: small ones for quick runs, and those of two diffusion pipelines.
SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "small": {"clip": (64,), "t5": (4, 64)},
    "flux": {"clip": (768,), "t5": (17, 4096)},
    "sd": {"clip": (77, 768)},
}

#: Where in a file's entry of a class the target of each space stands, with the shapes of flux.
_FLUX_KEYS = {"clip": "pooled_prompt_embeds", "t5": "prompt_embeds"}

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
    return _targets_from_file(section, shapes, classes)


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


def _targets_from_file(
    section: AdapterSection, shapes: Mapping[str, tuple[int, ...]], classes: Sequence[str]
) -> Targets:
    """Targets of classes from a dictionary file. Nothing in it is executed.

    Args:
        section: the path, and which of the shapes in it count.
        shapes: shape of a class's target in each space.
        classes: of the federation.

    Raises:
        UsageError: the shapes are those of the codes.
        MissingError: the file, or classes in it, are not there.
        FailedError: the file cannot be read, or a target is not finite or of another shape.
    """
    path = expanded(Path(section.targets), "adapter.targets")
    if section.shapes == "small":
        raise UsageError(
            f'adapter.targets = {section.targets} goes with shapes "flux" or "sd", adapter.shapes is "small"',
            hint="--set adapter.shapes=flux",
        )
    content = _read_dictionary(path)
    entries = {as_class_name(str(name)): value for name, value in content.items()}
    missing = [name for name in classes if name not in entries]
    if missing:
        near = {name: closest(name, [known for known in entries if known]) for name in missing}
        raise MissingError(
            f"{path} has no text embedding of {', '.join(missing)}",
            [f"did you mean {known} for {name}?" for name, known in near.items() if known],
            hint="make the dictionary with these classes, or --set adapter.targets=codes",
        )
    spaces = {
        space: torch.stack([_target_in(entries[name], section.shapes, space, shape, path, name) for name in classes])
        for space, shape in shapes.items()
    }
    identity = {
        "name": path.name,
        "shapes": section.shapes,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return Targets(identity, f"text embeddings of {path}", spaces)


def _read_dictionary(path: Path) -> Mapping[Any, Any]:
    if not is_file(path):
        raise MissingError(
            f"adapter.targets = {path} — no such file",
            [f"expected {CODES}, or a file with a dictionary of text embeddings"],
            hint="--set adapter.targets=codes",
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = first_line(error)
        raise FailedError(f"{path} cannot be read as a dictionary of tensors — {reason}") from error
    if not isinstance(content, Mapping):
        raise FailedError(f"{path} holds a {type(content).__name__} — expected a dictionary by class")
    return content


def _target_in(entry: Any, shapes: str, space: str, shape: tuple[int, ...], path: Path, name: str) -> Tensor:
    key = _FLUX_KEYS[space] if shapes == "flux" else None
    value = entry.get(shapes) if isinstance(entry, Mapping) else None
    if key is not None:
        value = value.get(key) if isinstance(value, Mapping) else None
    place = f"{path}: {name}, {shapes}" + (f", {key}" if key else "")
    if not isinstance(value, Tensor):
        raise FailedError(f"{place} — expected a tensor of shape {list(shape)}, there is none")
    target = value.detach().float()
    if target.dim() == len(shape) + 1 and target.shape[0] == 1:
        target = target[0]
    if tuple(target.shape) != shape:
        raise FailedError(f"{place} has shape {list(value.shape)} — expected {list(shape)}")
    if not torch.isfinite(target).all():
        raise FailedError(f"{place} holds NaN or infinite values")
    return target
