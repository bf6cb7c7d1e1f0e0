"""A profile with nodes for those who have data and no nodes yet."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.counted import counted
from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.data.nodes import NodeClips, clips_of_nodes
from feda2v_cli.data.partition import Dealing, deal
from feda2v_cli.data.split import Split
from feda2v_cli.errors import FailedError, OverwriteError, UsageError
from feda2v_cli.paths import is_named
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.profile.schema import NodeSection


@dataclass(frozen=True)
class Partition:
    """A data set, dealt to nodes.

    Attributes:
        path: of the profile.
        nodes: and their clips.
    """

    path: Path
    nodes: tuple[NodeClips, ...]

    def to_dict(self) -> dict[str, Any]:
        """What the command prints under --json."""
        return {
            "path": str(self.path),
            "nodes": [
                {
                    "node": node.node_id,
                    "train": len(node.train),
                    "val": len(node.val),
                    "test": len(node.test),
                    "classes": dict(sorted(Counter(clip.class_name for clip in node.all).items())),
                }
                for node in self.nodes
            ],
        }


def partition(
    loaded: LoadedProfile, nodes: int, dealing: Dealing, seed: int, path: Path, *, keep: bool, force: bool
) -> Partition:
    """Deal the clips of a profile's data set to nodes, and write a profile with them.

    Args:
        loaded: says which data set, and what divides it.
        nodes: how many.
        dealing: how.
        seed: of what is drawn.
        path: of the profile that is written.
        keep: whether what the profile says beside its nodes is kept; otherwise what options say of it alone.
        force: overwrite it.

    Raises:
        OverwriteError: the file is there.
        UsageError: the data set says itself which node holds a clip, or has no such split.
        MissingError: the data are not there, or too few for so many nodes.
        ProfileError: the profile makes no sense with these nodes.
        FailedError: the metadata of the data set is wrong, or the file cannot be written.
    """
    if is_named(path) and not force:
        raise OverwriteError(f"{path} is there already", hint="--force overwrites, -o FILE writes elsewhere")
    data = loaded.profile.data
    dataset = open_dataset(data.dataset, data.root, skip_absent=data.skip_unreadable)
    if dataset.names_nodes:
        raise UsageError(
            f"{dataset.place} says which node holds a clip: there is nothing to deal",
            hint="give nodes these ids in a profile, or remove the column node",
        )
    if data.clips_per_class is not None:
        raise UsageError("data.clips_per_class leaves clips out, and a partition deals all of them", hint="unset it")
    split = Split.of(data, NodeSection(id=0, classes=("any",)), dataset.usual_split)
    # Equal parts are equal, however small they are; others are made as large as generators need them.
    fewest = 1 if dealing.way == "iid" else loaded.profile.generator.fewest_clips
    sections = deal(split.divide(dataset), nodes, dealing, seed, fewest)
    document = tomlkit.parse(loaded.text) if keep else tomlkit.document()
    if not keep:
        document.add(tomlkit.comment(f"{dataset.place} dealt to {counted(nodes, 'node')}, by {dealing}, seed {seed}."))
    _set_keys(document, loaded, {} if dataset.root is None else {"data.dataset": dataset.name})
    _set_nodes(document, sections)
    _write(path, tomlkit.dumps(document))
    return Partition(path, clips_of_nodes(load_profile(str(path), environment={}).profile))


def too_few(nodes: Sequence[NodeClips], fewest: int) -> list[str]:
    """What is to be said of nodes whose clips of a class do not suffice for a generator.

    Args:
        nodes: and their clips.
        fewest: clips that train, of a class, that generators need.
    """
    training = {node.node_id: Counter(clip.class_name for clip in node.train) for node in nodes}
    short = [node for node, counts in training.items() if min(counts.values()) < fewest]
    if not short:
        return []
    least = min(min(training[node].values()) for node in short)
    who = f"node {short[0]} holds" if len(short) == 1 else f"{len(short)} nodes hold"
    return [
        f"{who} fewer than generator.fewest_clips = {fewest} training clips of a class ({least} at least): "
        "train-generators refuses such classes; fewer nodes hold more of each"
    ]


def _set_keys(document: TOMLDocument, loaded: LoadedProfile, more: dict[str, Any]) -> None:
    """Put what options have set into a document."""
    values = loaded.profile.model_dump(mode="json")
    chosen = [key for key, origin in loaded.origins.items() if origin.startswith("--") and not key.startswith("nodes")]
    for key in dict.fromkeys([*more, *chosen]):
        section, _, name = key.partition(".")
        document.setdefault(section, tomlkit.table())
        value = more.get(key, values[section][name.partition(".")[0]])
        document[section][name.partition(".")[0]] = value


def _set_nodes(document: TOMLDocument, sections: tuple[NodeSection, ...]) -> None:
    document.pop("nodes", None)
    nodes = tomlkit.aot()
    for section in sections:
        node = tomlkit.table()
        values = section.model_dump(mode="json", exclude_none=True)
        for key, value in values.items():
            node[key] = value
        nodes.append(node)
    document["nodes"] = nodes


def _write(path: Path, text: str) -> None:
    try:
        with atomic_write(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise FailedError(f"{path} cannot be written — {error.strerror}", hint="-o FILE writes elsewhere") from error
