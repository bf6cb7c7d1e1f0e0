"""Which node holds which clips."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from feda2v_cli.data.clip import Clip
from feda2v_cli.data.dataset import Dataset, open_dataset
from feda2v_cli.errors import MissingError, closest
from feda2v_cli.profile.schema import DataSection, NodeSection, Profile


@dataclass(frozen=True)
class NodeClips:
    """The clips of a node.

    Attributes:
        node_id: the node.
        dataset: where its clips come from.
        train: clips of its classes in the folds that train, sorted by class, fold and name.
        test: clips of its classes in the folds held out, sorted alike.
    """

    node_id: int
    dataset: Dataset
    train: tuple[Clip, ...]
    test: tuple[Clip, ...]

    def without(self, clips: Collection[Clip]) -> Self:
        """The same node without some clips, such as those that turned out to be unreadable.

        Raises:
            MissingError: a class is left without a clip that trains.
        """
        gone = frozenset(clips)
        train = tuple(clip for clip in self.train if clip not in gone)
        test = tuple(clip for clip in self.test if clip not in gone)
        classes = {clip.class_name for clip in self.train} - {clip.class_name for clip in train}
        if classes:
            raise MissingError(
                f"node {self.node_id} has no usable clip of {', '.join(sorted(classes))} in the folds that train",
                [f"all of them in {self.dataset.place} are unreadable"],
            )
        return replace(self, train=train, test=test)


def clips_of_nodes(profile: Profile) -> tuple[NodeClips, ...]:
    """The clips of every node, from metadata alone. Each data set is opened once.

    Raises:
        MissingError: a data set, a class that a node names, or clips of a class in the folds that train are not there;
            all classes that are missing at once.
        FailedError: the metadata of a data set is wrong.
    """
    opened: dict[tuple[str, Path | None], Dataset] = {}
    datasets: list[Dataset] = []
    for node in profile.nodes:
        place = _place(profile.data, node)
        if place not in opened:
            opened[place] = open_dataset(*place)
        datasets.append(opened[place])
    held = list(zip(profile.nodes, datasets, strict=True))
    _check_classes(held)
    nodes = tuple(_clips_of_node(node, dataset, profile.data) for node, dataset in held)
    _check_train_clips(profile, nodes)
    return nodes


def check_held_out(profile: Profile, nodes: Iterable[NodeClips], purpose: str) -> None:
    """Make sure that clips are held out.

    Args:
        profile: says which folds are.
        nodes: their clips.
        purpose: what needs them, for the error.

    Raises:
        MissingError: no node has a clip in the folds held out.
    """
    if not any(node.test for node in nodes):
        raise MissingError(
            f"no node has a clip in the folds held out, data.test_folds = {list(profile.data.test_folds)}",
            [purpose],
            hint="--set 'data.test_folds=[5]'",
        )


def dataset_name(data: DataSection, node: NodeSection) -> str:
    """The layout of a node's data set, whether or not it is on this machine."""
    name, root = _place(data, node)
    if name != "auto":
        return name
    return "builtin" if root is None else "esc50"


def _place(data: DataSection, node: NodeSection) -> tuple[str, Path | None]:
    """Layout and root of a node's data set: its own, if it names one, or the profile's."""
    if node.dataset is None and node.root is None:
        return data.dataset, data.root
    return node.dataset or "auto", node.root


def _clips_of_node(node: NodeSection, dataset: Dataset, data: DataSection) -> NodeClips:
    def clips_in(folds: Iterable[int]) -> tuple[Clip, ...]:
        return tuple(clip for clip in dataset.clips if clip.class_name in node.classes and clip.fold in folds)

    return NodeClips(node.id, dataset, clips_in(data.train_folds), clips_in(data.test_folds))


def _check_classes(held: list[tuple[NodeSection, Dataset]]) -> None:
    problems = []
    for node, dataset in held:
        for name in node.classes:
            if name not in dataset.classes:
                near = closest(name, dataset.classes)
                problem = f"node {node.id}: no class {name} in {dataset.place}"
                problems.append(f"{problem}; did you mean {near}?" if near else problem)
    if problems:
        classes = {dataset.place: ", ".join(dataset.classes) for _, dataset in held}
        raise MissingError(
            "the data lacks a class of the profile"
            if len(problems) == 1
            else f"the data lacks {len(problems)} classes",
            [*problems, *(f"classes of {place}: {names}" for place, names in classes.items())],
            hint="change the classes of these nodes in the profile, or data.root",
        )


def _check_train_clips(profile: Profile, nodes: tuple[NodeClips, ...]) -> None:
    problems = []
    for node, held in zip(profile.nodes, nodes, strict=True):
        trained = {clip.class_name for clip in held.train}
        absent = [name for name in node.classes if name not in trained]
        if absent:
            folds = ", ".join(map(str, held.dataset.folds))
            problems.append(
                f"node {node.id}: no clip of {', '.join(absent)}; the folds of {held.dataset.place} are {folds}"
            )
    if problems:
        raise MissingError(
            f"nodes lack clips that train, with data.train_folds = {list(profile.data.train_folds)}",
            problems,
            hint="change data.train_folds, or the classes of these nodes",
        )
