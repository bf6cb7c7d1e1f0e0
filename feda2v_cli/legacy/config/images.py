"""Pictures during RUN 2."""

from typing import Any

from feda2v_cli.legacy.config.draft import Draft, listed
from feda2v_cli.legacy.config.modes import IMAGE_FREQUENCIES
from feda2v_cli.legacy.config.rules import diffusion_kind
from feda2v_cli.profile.key_path import KeyPath

#: What painted, by diffusion_type; FLUX took no other, whatever img_pipe_name said, and one step.
_PIPELINES = {"flux": "black-forest-labs/FLUX.1-schnell", "sd": "stable-diffusion-v1-5/stable-diffusion-v1-5"}
_STEPS = 1
_SPLITS = ("train", "val", "test")


def settle_images(draft: Draft) -> None:
    """Set the section images, where the file makes images."""
    if "images" in draft.off or "run_2" in draft.off:
        return
    paths: list[KeyPath] = [("feda2v", key) for key in IMAGE_FREQUENCIES]
    numbers = [_frequency(draft, path) for path in paths]
    on = {path: number for path, number in zip(paths, numbers, strict=True) if number}
    if len(draft.problems) or not on:
        return
    every = min(on.values())
    if len(set(on.values())) > 1:
        draft.warn(paths[1], f"nodes and server have their pictures in the same rounds: every {every}")
    draft.set(("images", "every"), every, *on)
    draft.set(("images", "nodes"), paths[0] in on, *on)
    draft.set(("images", "server"), paths[1] in on, *on)
    kind = diffusion_kind(draft) or "flux"
    source: KeyPath = next(
        (
            path
            for path in (("federation", "diffusion_type"), ("feda2v", "diffusion_type"))
            if draft.value(path) is not None
        ),
        next(iter(on)),
    )
    named: KeyPath = ("feda2v", "img_pipe_name")
    if kind == "sd" and isinstance(draft.value(named), str):
        draft.set(("images", "pipeline"), draft.value(named), named)
    else:
        draft.set(("images", "pipeline"), _PIPELINES.get(kind, _PIPELINES["flux"]), source)
        if draft.value(named) is not None:
            draft.drop(named, "FLUX took its own pipeline, whatever it said")
    if kind != "sd":
        draft.set(("images", "steps"), _STEPS, source)
    draft.set(("adapter", "targets"), "pipeline", source)
    _set_numbers(draft)
    _set_splits(draft)


def _frequency(draft: Draft, path: KeyPath) -> int:
    value = draft.value(path)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if value is None or value is False:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        draft.problem(path, "expected a whole number of rounds, 0 for no images")
        return 0
    return value


def _set_numbers(draft: Draft) -> None:
    path: KeyPath = ("feda2v", "generate_low_memomy_footprint")
    small = draft.is_on(*map(str, path))
    draft.set(
        ("images", "dtype"), "bfloat16" if small else "float32", *([path] if draft.value(path) is not None else [])
    )


def _set_splits(draft: Draft) -> None:
    path: KeyPath = ("feda2v", "save_generated_images_splits")
    value: Any = draft.value(path)
    names = ["val", "test"] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or any(name not in _SPLITS for name in names):
        draft.problem(path, f"expected a list of splits: {listed(_SPLITS)}")
        return
    measured = draft.values.get(("data", "evaluate_on"), ["test"])
    kept = [name for name in _SPLITS if name in names and (name != "val" or "val" in measured)] or ["test"]
    draft.set(("images", "splits"), kept, *([path] if value is not None else []))
