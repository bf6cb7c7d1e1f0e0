"""A data set: clips of classes, in folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from feda2v_cli.data.builtin import builtin_clips
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.esc50 import esc50_clips
from feda2v_cli.errors import UsageError, closest
from feda2v_cli.paths import expanded

DatasetName = Literal["builtin", "esc50"]


@dataclass(frozen=True)
class Dataset:
    """Clips of classes, in folds.

    Attributes:
        name: the layout: `esc50` or `builtin`.
        root: directory of the data set; None for the built-in sounds.
        clips: all clips, sorted by class, fold and name.
    """

    name: DatasetName
    root: Path | None
    clips: tuple[Clip, ...]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes, sorted."""
        return tuple(sorted({clip.class_name for clip in self.clips}))

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """All folds that have clips, sorted."""
        return tuple(sorted({clip.fold for clip in self.clips}))

    @property
    def place(self) -> str:
        """Where the clips come from, for messages."""
        return "the built-in sounds" if self.root is None else str(self.root)


def open_dataset(dataset: str, root: Path | None) -> Dataset:
    """List the clips of a data set; no audio is read.

    Args:
        dataset: `esc50`, `builtin`, or `auto`: esc50 with a root, the built-in sounds without.
        root: directory of the data set. A root that is not there is an error, never a fallback.

    Raises:
        UsageError: no such layout, esc50 without a root, or built-in sounds with one.
        MissingError: the root, its metadata or its audio is not there.
        FailedError: the metadata is wrong.
    """
    match dataset, root:
        case ("auto" | "builtin", None):
            name: DatasetName = "builtin"
            clips: Sequence[Clip] = builtin_clips()
        case ("auto" | "esc50", Path()):
            name = "esc50"
            root = expanded(root, "data.root")
            clips = esc50_clips(root)
        case ("esc50", None):
            raise UsageError("data.root is not set, and esc50 needs one", hint="--data-root DIR")
        case ("builtin", _):
            raise UsageError(f"data.root is {root}, and the built-in sounds have no root", hint="remove one of the two")
        case _:
            choices = ("auto", "builtin", "esc50")
            near = closest(dataset, choices)
            raise UsageError(
                f"no data set {dataset} — expected one of {', '.join(choices)}",
                [f"did you mean {near}?"] if near else [],
            )
    return Dataset(name, root, tuple(sorted(clips, key=lambda clip: (clip.class_name, clip.fold, clip.name))))
