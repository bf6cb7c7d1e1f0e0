"""A data set: clips of classes, in whatever layout."""

import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from feda2v_cli.data.builtin import builtin_clips
from feda2v_cli.data.clip import Clip
from feda2v_cli.data.layout.layout import no_root
from feda2v_cli.data.layout.registry import LAYOUTS, layout_of
from feda2v_cli.errors import UsageError, closest
from feda2v_cli.paths import expanded, is_directory, is_file, is_there
from feda2v_cli.profile.schema import DatasetName, SplitName


@dataclass(frozen=True)
class Dataset:
    """Clips of classes.

    Attributes:
        name: the layout.
        root: directory of the data set; None for the built-in sounds.
        clips: all clips, sorted by class, fold and name.
        usual_split: what divides the clips unless a profile says otherwise.
        notes: what was left out and why, in sentences.
    """

    name: DatasetName
    root: Path | None
    clips: tuple[Clip, ...]
    usual_split: SplitName = "folds"
    notes: tuple[str, ...] = ()

    @cached_property
    def by_class(self) -> Mapping[str, Sequence[Clip]]:
        """The clips of each class."""
        clips: defaultdict[str, list[Clip]] = defaultdict(list)
        for clip in self.clips:
            clips[clip.class_name].append(clip)
        return clips

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes, sorted."""
        return tuple(sorted(self.by_class))

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """All folds that have clips, sorted; none where the layout has no folds."""
        return tuple(sorted({clip.fold for clip in self.clips} - {0}))

    @cached_property
    def has_official_split(self) -> bool:
        """Whether the data set says of every clip whether it trains."""
        return all(clip.part is not None for clip in self.clips)

    @cached_property
    def names_nodes(self) -> bool:
        """Whether the data set says which node holds a clip."""
        return any(clip.node is not None for clip in self.clips)

    @property
    def place(self) -> str:
        """Where the clips come from, for messages."""
        return "the built-in sounds" if self.root is None else str(self.root)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let hundreds of thousands of clips be made without walking all of them again and again: it halves the time.

    None of them is part of a cycle, so there is nothing to collect.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@collector_paused()
def open_dataset(dataset: str, root: Path | None, *, skip_absent: bool = False, key: str = "data.root") -> Dataset:
    """List the clips of a data set; no audio is read.

    Args:
        dataset: a layout, `builtin`, or `auto`: what the root looks like, the built-in sounds without one.
        root: directory of the data set. A root that is not there is an error, never a fallback.
        skip_absent: leave out clips that metadata name and whose file is not there.
        key: of the profile that names the root, for messages.

    Raises:
        UsageError: no such layout, a layout without a root, or built-in sounds with one.
        MissingError: the root, its metadata or its audio is not there, or its layout cannot be told.
        FailedError: the metadata is wrong.
    """
    choices = ("auto", "builtin", *LAYOUTS)
    if dataset not in choices:
        near = closest(dataset, choices)
        raise UsageError(
            f"no data set {dataset} — expected one of {', '.join(choices)}",
            [f"did you mean {near}?"] if near else [],
        )
    if root is None:
        if dataset not in ("auto", "builtin"):
            raise UsageError(f"{key} is not set, and {dataset} needs one", hint="--data-root DIR")
        return Dataset("builtin", None, _in_order(builtin_clips()))
    if dataset == "builtin":
        raise UsageError(f"{key} is {root}, and the built-in sounds have no root", hint="remove one of the two")
    root = expanded(root, key)
    is_manifest = dataset in ("auto", "csv") and root.suffix.lower() == ".csv" and is_file(root)
    if not is_directory(root) and not is_manifest:
        raise no_root(root, key)
    layout = layout_of(dataset, root)
    found = layout.clips(root, skip_absent)
    return Dataset(layout.name, root, _in_order(found.clips), layout.usual_split(root), found.notes)


def glance(dataset: str, root: Path | None) -> tuple[DatasetName, SplitName] | None:
    """Layout and usual split of a data set, at a glance; None when it is not on this machine.

    Args:
        dataset: a layout, `builtin`, or `auto`.
        root: directory of the data set.

    Raises:
        MissingError: it is there, and its layout cannot be told.
    """
    if root is None:
        return ("builtin", "folds") if dataset in ("auto", "builtin") else None
    root = expanded(root, "data.root")
    if not is_there(root):
        return None
    layout = layout_of(dataset, root)
    return layout.name, layout.usual_split(root)


def _in_order(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    return tuple(sorted(clips, key=lambda clip: (clip.class_name, clip.fold, clip.name)))
