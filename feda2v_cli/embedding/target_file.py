"""Targets from a dictionary file in the earlier system's form.

{class: {"sd": [77, 768], "flux": {"prompt_embeds": [1, 17, 4096], "pooled_prompt_embeds": [1, 768]}}}
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.embedding.target import CODES, Targets
from feda2v_cli.errors import FailedError, MissingError, UsageError, closest, first_line
from feda2v_cli.profile.class_name import as_class_name
from feda2v_cli.profile.schema import AdapterSection

_FLUX_KEYS = {"clip": "pooled_prompt_embeds", "t5": "prompt_embeds"}


def read_target_file(section: AdapterSection, shapes: Mapping[str, tuple[int, ...]], classes: Sequence[str]) -> Targets:
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
    path = Path(section.targets).expanduser()
    if section.shapes == "small":
        raise UsageError(
            f'adapter.targets = {section.targets} goes with shapes "flux" or "sd", adapter.shapes is "small"',
            hint="--set adapter.shapes=flux",
        )
    content = _read(path)
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
        space: torch.stack([_target(entries[name], section.shapes, space, shape, path, name) for name in classes])
        for space, shape in shapes.items()
    }
    identity = {
        "name": path.name,
        "shapes": section.shapes,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return Targets(identity, f"text embeddings of {path}", spaces)


def _read(path: Path) -> Mapping[Any, Any]:
    if not path.is_file():
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


def _target(entry: Any, shapes: str, space: str, shape: tuple[int, ...], path: Path, name: str) -> Tensor:
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
