"""The dictionary file of targets, in the earlier system's form, read and written.

    {class: {"sd": [77, 768], "flux": {"prompt_embeds": [1, 17, 4096], "pooled_prompt_embeds": [1, 768]}}}

An encoder of sentences adds {"text": [dim]}. What made the targets stands under a name that no class has.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError, MissingError, UsageError, closest, first_line
from feda2v_cli.paths import entries, expanded, is_directory, is_file
from feda2v_cli.profile.schema import AdapterSection, as_class_name

#: Where in a class's entry the target of each space stands, by layout.
LAYOUTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "flux": {"clip": ("flux", "pooled_prompt_embeds"), "t5": ("flux", "prompt_embeds")},
    "sd": {"clip": ("sd",)},
    "text": {"text": ("text",)},
}
#: Axes of a target: text embeddings of a whole prompt have one, of its tokens two.
_AXES = {("flux", "clip"): 1, ("flux", "t5"): 2, ("sd", "clip"): 2, ("text", "text"): 1}
#: Shapes in dictionaries that do not say what made them: those of the real pipelines.
_USUAL_SHAPES: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("flux", "clip"): (768,),
    ("flux", "t5"): (17, 4096),
    ("sd", "clip"): (77, 768),
}
_ORIGIN = "_feda2v"


@dataclass(frozen=True)
class Dictionary:
    """What a dictionary file holds of the classes that were asked for.

    Attributes:
        identity: what made it, or the file's own name and hash.
        spaces: by target space, float32 [classes, *shape].
    """

    identity: Mapping[str, str]
    spaces: Mapping[str, Tensor]


def read_dictionary(section: AdapterSection, classes: Sequence[str]) -> Dictionary:
    """Targets of classes from a dictionary file. Nothing in it is executed.

    Args:
        section: the path, the spaces, and which layout of the file counts.
        classes: of the federation.

    Raises:
        UsageError: the file holds several layouts and the shapes do not say which, or the layout lacks a space.
        MissingError: the file, or classes in it, are not there.
        FailedError: the file cannot be read, or a target is not finite or of another shape.
    """
    path = expanded(Path(section.targets), "adapter.targets")
    content = dict(_load(path))
    origin = content.pop(_ORIGIN, None)
    entries = {as_class_name(str(name)): value for name, value in content.items()}
    missing = [name for name in classes if name not in entries]
    if missing:
        near = {name: closest(name, [known for known in entries if known]) for name in missing}
        raise MissingError(
            f"{path} has no text embedding of {', '.join(missing)}",
            [f"did you mean {known} for {name}?" for name, known in near.items() if known],
            hint=f"feda2v targets -o {path} makes one with all classes of the profile; or --set adapter.targets=codes",
        )
    layout = _layout(section, path, entries[classes[0]])
    known = LAYOUTS[layout]
    spaces: tuple[str, ...] = section.spaces or tuple(known)
    for space in spaces:
        if space not in known:
            raise UsageError(
                f'{path} with adapter.shapes = "{layout}" has no target space {space}',
                [f"it has {', '.join(known)}"],
                hint="leave adapter.spaces out, or: --set 'adapter.spaces=[" + ",".join(f'"{n}"' for n in known) + "]'",
            )
    made_by: dict[str, str] = {}
    if isinstance(origin, Mapping):
        made_by = {str(key): str(value) for key, value in origin.items()}
    expected = {} if made_by else {space: _USUAL_SHAPES.get((layout, space)) for space in spaces}
    values = {
        space: _stacked([(name, entries[name]) for name in classes], layout, space, expected.get(space), path)
        for space in spaces
    }
    own = {"name": path.name, "shapes": layout, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    return Dictionary(made_by or own, values)


def write_dictionary(
    path: Path, classes: Sequence[str], spaces: Mapping[str, Tensor], layout: str, identity: Mapping[str, str]
) -> None:
    """Write targets as a dictionary file; an older one is replaced whole.

    Args:
        path: the file.
        classes: in the order of the targets.
        spaces: by target space, [classes, *shape].
        layout: flux, sd or text.
        identity: what made them.

    Raises:
        FailedError: it cannot be written.
    """
    content: dict[str, Any] = {_ORIGIN: dict(identity)}
    for index, name in enumerate(classes):
        entry: dict[str, Any] = {}
        for space, (outer, *inner) in LAYOUTS[layout].items():
            value = spaces[space][index].clone()
            if inner:
                entry.setdefault(outer, {})[inner[0]] = value[None]
            else:
                entry[outer] = value
        content[name] = entry
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        raise FailedError(f"{path} cannot be written — {first_line(error)}", hint="-o FILE writes elsewhere") from error


def _load(path: Path) -> Mapping[Any, Any]:
    if not is_file(path):
        siblings = [entry.name for entry in entries(path.parent)] if is_directory(path.parent) else []
        near = closest(path.name, siblings)
        raise MissingError(
            f"adapter.targets = {path} — no such file, nor a directory or name of a text encoder",
            [
                *([f"did you mean {path.parent / near}?"] if near else []),
                "expected codes, pipeline, a dictionary file of text embeddings, or a text encoder",
            ],
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


def _layout(section: AdapterSection, path: Path, entry: Any) -> str:
    """The layout that the shapes name; with those of codes, the only one that the file has."""
    if section.shapes != "small":
        return section.shapes
    there = [layout for layout in LAYOUTS if isinstance(entry, Mapping) and layout in entry]
    if len(there) != 1:
        raise UsageError(
            f'adapter.targets = {path} goes with shapes "flux" or "sd", adapter.shapes is "small"',
            [f"the file has {', '.join(there) or 'neither'}"],
            hint=f"--set adapter.shapes={there[0] if there else 'flux'}",
        )
    return there[0]


def _stacked(
    entries: Sequence[tuple[str, Any]], layout: str, space: str, shape: tuple[int, ...] | None, path: Path
) -> Tensor:
    """Targets of one space, [classes, *shape]: all of one shape, that of the first unless one is given."""
    values: list[Tensor] = []
    for name, entry in entries:
        expected = shape if shape is not None or not values else tuple(values[0].shape)
        values.append(_target(entry, layout, space, expected, f"{path}: {name}"))
    return torch.stack(values)


def _target(entry: Any, layout: str, space: str, shape: tuple[int, ...] | None, place: str) -> Tensor:
    keys = LAYOUTS[layout][space]
    value = entry
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    place = f"{place}, {', '.join(keys)}"
    axes = _AXES[layout, space]
    if not isinstance(value, Tensor):
        wanted = f"of shape {list(shape)}" if shape else f"with {axes} axes"
        raise FailedError(f"{place} — expected a tensor {wanted}, there is none")
    target = value.detach().float()
    if target.dim() == axes + 1 and target.shape[0] == 1:
        target = target[0]
    if target.dim() != axes or (shape is not None and tuple(target.shape) != shape):
        expected = f"expected {list(shape)}" if shape else f"expected {axes} axes"
        raise FailedError(f"{place} has shape {list(value.shape)} — {expected}")
    if not torch.isfinite(target).all():
        raise FailedError(f"{place} holds NaN or infinite values")
    return target
