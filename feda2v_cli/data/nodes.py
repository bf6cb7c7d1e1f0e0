"""Which node holds which clips."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from feda2v_cli.data.clip import Clip
from feda2v_cli.data.dataset import Dataset, collector_paused, glance, open_dataset
from feda2v_cli.data.split import PARTS, Parts, Split, chosen, in_order, keys_of_node
from feda2v_cli.errors import MissingError, UsageError, closest
from feda2v_cli.profile.schema import DataSection, NodeSection, PartName, Profile

#: How many problems of one kind a message tells.
_SHOWN = 10
#: How many classes of a data set a message names: all of ESC-50.
_SHOWN_CLASSES = 50


@dataclass(frozen=True)
class NodeClips:
    """The clips of a node, each part sorted by class, fold and name.

    Attributes:
        node_id: the node.
        dataset: where its clips come from.
        split: what divides them.
        keys: what says which clips it holds, as keys of profiles; see `split.keys_of_node`.
        train: clips of its classes that train.
        val: those for validation.
        test: those that the split sets aside for the end.
        held_out: those that figures are measured on, of `val` and `test`.
    """

    node_id: int
    dataset: Dataset
    split: Split
    keys: Mapping[str, Any]
    train: tuple[Clip, ...]
    val: tuple[Clip, ...] = ()
    test: tuple[Clip, ...] = ()
    held_out: tuple[Clip, ...] = field(default=())

    @property
    def used(self) -> tuple[Clip, ...]:
        """Clips that a run needs the embeddings of: those that train, and those that figures are measured on."""
        return (*self.train, *self.held_out)

    @property
    def all(self) -> tuple[Clip, ...]:
        """All of its clips."""
        return (*self.train, *self.val, *self.test)

    def part(self, name: PartName) -> tuple[Clip, ...]:
        """The clips of a part."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]

    def without(self, clips: Collection[Clip]) -> Self:
        """The same node without some clips, such as those that turned out to be unreadable.

        Raises:
            MissingError: a class is left without a clip that trains.
        """
        gone = frozenset(clips)
        train, val, test, held_out = (
            tuple(clip for clip in own if clip not in gone) for own in (self.train, self.val, self.test, self.held_out)
        )
        classes = {clip.class_name for clip in self.train} - {clip.class_name for clip in train}
        if classes:
            raise MissingError(
                f"node {self.node_id} has no usable clip of {', '.join(sorted(classes))} that trains",
                [f"all of them in {self.dataset.place} are unreadable"],
            )
        return replace(self, train=train, val=val, test=test, held_out=held_out)


@collector_paused()
def clips_of_nodes(profile: Profile) -> tuple[NodeClips, ...]:
    """The clips of every node, from metadata alone. Each data set is opened and divided once.

    Raises:
        MissingError: a data set, a class that a node names, clips of a class that train, or as many clips as a block
            needs are not there; all that is missing at once.
        UsageError: a data set has no such split.
        FailedError: the metadata of a data set is wrong.
    """
    opened: dict[tuple[str, Path | None], Dataset] = {}
    held: list[tuple[NodeSection, Dataset]] = []
    for index, node in enumerate(profile.nodes):
        place = place_of(profile.data, node)
        if place not in opened:
            opened[place] = _open(profile.data, node, index)
        held.append((node, opened[place]))
    _check_classes(held)
    divided: list[tuple[Dataset, Split, _Divided]] = []
    nodes: list[NodeClips] = []
    problems: list[str] = []
    for node, dataset in held:
        split = Split.of(profile.data, node, dataset.usual_split)
        done = next((classes for other, by, classes in divided if other is dataset and by == split), None)
        if done is None:
            done = _Divided(dataset, split, profile.data)
            divided.append((dataset, split, done))
        problems += done.problems_of(node)
        nodes.append(done.of_node(node))
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise MissingError(
            "there are not clips enough for the blocks of the nodes",
            [*problems[:_SHOWN], *more],
            hint="give these nodes smaller blocks: nodes.N.block.size",
        )
    _check_train_clips(profile, nodes)
    return tuple(nodes)


def _open(data: DataSection, node: NodeSection, index: int) -> Dataset:
    """The data set of a node; an error names the key of the profile that says where it is."""
    key = "data.root" if node.root is None else f"nodes.{index}.root"
    try:
        return open_dataset(*place_of(data, node), skip_absent=data.skip_unreadable, key=key)
    except MissingError as error:
        if node.root is None:
            raise
        details = [
            *error.details,
            f"it is {key}, of node {node.id}: --data-root is of nodes without a root of their own",
        ]
        raise MissingError(error.title, details, hint=f"--set {key}=DIR") from error


def notes_on(nodes: Iterable[NodeClips]) -> list[str]:
    """What was left out of the data sets of nodes and why, each once."""
    return list(dict.fromkeys(note for node in nodes for note in node.dataset.notes))


def check_held_out(nodes: Iterable[NodeClips], purpose: str) -> None:
    """Make sure that clips are held out.

    Args:
        nodes: their clips.
        purpose: what needs them, for the error.

    Raises:
        MissingError: no node has a clip that is held out.
    """
    nodes = list(nodes)
    if not any(node.held_out for node in nodes):
        splits = dict.fromkeys(f"{node.dataset.place} is divided by {node.split}" for node in nodes)
        folds = all(node.split.kind == "folds" for node in nodes)
        raise MissingError(
            "no node has a clip that is held out",
            [*splits, purpose],
            hint="--set 'data.test_folds=[5]'" if folds else "--set data.split=ratio --set data.test_ratio=0.2",
        )


def place_of(data: DataSection, node: NodeSection) -> tuple[str, Path | None]:
    """Layout and root of a node's data set: its own, if it names one, or the profile's."""
    if node.dataset is None and node.root is None:
        return data.dataset, data.root
    return node.dataset or "auto", node.root


def expected_data(data: DataSection, node: NodeSection) -> tuple[str | None, Split | None]:
    """Layout and split of a node's data set at a glance; None for what only the data can tell, where they are not here.

    Raises:
        MissingError: the data are here, and their layout cannot be told.
    """
    name, root = place_of(data, node)
    seen = glance(name, root)
    kind = node.split or data.split
    if seen is None:
        return None if name == "auto" else name, None if kind == "auto" else Split.of(data, node, kind)
    return seen[0], Split.of(data, node, seen[1])


class _Divided:
    """The classes of a data set, divided, and what nodes hold of them."""

    def __init__(self, dataset: Dataset, split: Split, data: DataSection) -> None:
        self._dataset = dataset
        self._split = split
        self._data = data
        self._parts = split.divide(dataset)
        self._limited: dict[tuple[str, int | None], Parts] = {}
        self._orders: dict[tuple[str, int], list[tuple[PartName, int]]] = {}

    def of_node(self, node: NodeSection) -> NodeClips:
        clips: dict[PartName, list[Clip]] = {part: [] for part in PARTS}
        for name in sorted(node.classes):
            parts = self._of_class(name, node)
            if node.block is not None:
                start, end = node.block.bounds(name)
                parts = chosen(parts, self._order(name, parts, node.block.seed)[start:end])
            for part, own in parts.items():
                clips[part] += own
        return NodeClips(
            node.id,
            self._dataset,
            self._split,
            keys_of_node(self._data, node, self._split),
            train=tuple(clips["train"]),
            val=tuple(clips["val"]),
            test=tuple(clips["test"]),
            held_out=tuple(clip for part in self._data.evaluate_on for clip in clips[part]),
        )

    def problems_of(self, node: NodeSection) -> Iterator[str]:
        """The classes of a node that have not clips enough for its block."""
        block = node.block
        if block is None:
            return
        if self._dataset.names_nodes:
            raise UsageError(
                f"node {node.id} has a block, and {self._dataset.place} says which node holds a clip",
                hint="remove nodes.N.block, or the column node",
            )
        for name in node.classes:
            there = sum(len(clips) for clips in self._of_class(name, node).values())
            start, end = block.bounds(name)
            if end > there:
                place = self._dataset.place
                yield f"node {node.id}: clips {start + 1} to {end} of {name}, of which there are {there} in {place}"

    def _of_class(self, name: str, node: NodeSection) -> Parts:
        """The clips of a class that a node may hold, as many as the profile allows."""
        most = node.clips_per_class or self._data.clips_per_class
        if self._dataset.names_nodes:
            own: Parts = {
                part: [clip for clip in clips if clip.node in (None, node.id)]
                for part, clips in self._parts[name].items()
            }
            return own if most is None else chosen(own, in_order(own, self._split.seed)[:most])
        if most is None:
            return self._parts[name]
        if (name, most) not in self._limited:
            parts = self._parts[name]
            self._limited[name, most] = chosen(parts, in_order(parts, self._split.seed)[:most])
        return self._limited[name, most]

    def _order(self, name: str, parts: Parts, seed: int) -> list[tuple[PartName, int]]:
        if (name, seed) not in self._orders:
            self._orders[name, seed] = in_order(parts, seed)
        return self._orders[name, seed]


def _check_classes(held: list[tuple[NodeSection, Dataset]]) -> None:
    problems = []
    for node, dataset in held:
        for name in node.classes:
            if name not in dataset.classes:
                near = closest(name, dataset.classes)
                problem = f"node {node.id}: no class {name} in {dataset.place}"
                problems.append(f"{problem}; did you mean {near}?" if near else problem)
    if problems:
        classes = {dataset.place: _shown(dataset.classes) for _, dataset in held}
        raise MissingError(
            "the data lacks a class of the profile"
            if len(problems) == 1
            else f"the data lacks {len(problems)} classes",
            [*problems, *(f"classes of {place}: {names}" for place, names in classes.items())],
            hint="change the classes of these nodes in the profile, or data.root",
        )


def _shown(classes: Sequence[str]) -> str:
    more = len(classes) - _SHOWN_CLASSES
    return ", ".join(classes[:_SHOWN_CLASSES]) + (f" and {more} more" if more > 0 else "")


def _check_train_clips(profile: Profile, nodes: Iterable[NodeClips]) -> None:
    problems: list[str] = []
    kinds: set[str] = set()
    dealt: list[str] = []
    for node, held in zip(profile.nodes, nodes, strict=True):
        trained = {clip.class_name for clip in held.train}
        absent = [name for name in node.classes if name not in trained]
        holders = {clip.node for clip in held.dataset.clips if clip.class_name in absent}
        if absent and None not in holders and node.id not in holders:
            ids = ", ".join(str(holder) for holder in sorted(one for one in holders if one is not None))
            dealt.append(f"node {node.id}: {held.dataset.place} gives all clips of {', '.join(absent)} to nodes {ids}")
        elif absent:
            kinds.add(held.split.kind)
            folds = ", ".join(map(str, held.dataset.folds))
            how = (
                f"; the folds of {held.dataset.place} are {folds}"
                if held.split.kind == "folds"
                else f"; {held.dataset.place} is divided by {held.split}"
            )
            problems.append(f"node {node.id}: no clip of {', '.join(absent)}{how}")
    if dealt:
        raise MissingError(
            "nodes lack clips that train: their data say which node holds a clip",
            [*dealt, *problems],
            hint="give the nodes these ids, or other classes",
        )
    if problems:
        raise MissingError(
            f"nodes lack clips that train, with data.train_folds = {list(profile.data.train_folds)}"
            if kinds == {"folds"}
            else "nodes lack clips that train",
            problems,
            hint=f"change {'data.train_folds' if kinds == {'folds'} else 'data.split'}, or the classes of these nodes",
        )
