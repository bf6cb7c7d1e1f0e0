"""Where the clips of nodes come from, which of them train, and which part of a data set is a node's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feda2v_cli.legacy.config.draft import Draft
from feda2v_cli.legacy.config.folds import Node, read_folds
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.schema import as_base_name

#: By data set: directory, and layout.
_PLACES: Mapping[str, tuple[str, str | None]] = {
    "esc50": ("data/ESC-50", "esc50"),
    "vegas": ("data/VEGAS", "vegas"),
    "vggsound": ("data/VGGSound", "vggsound"),
}
#: Shares that train, and for validation, where a node wrote none.
_DEFAULT_SHARES: Mapping[str, tuple[float, float]] = {"vggsound": (0.7, 0.1)}
_RATIOS = ("train_ratio", "val_ratio", "test_ratio")
#: Size, id and seed of a block, and the seed that there was without one.
_BLOCK = ("samples_per_node", "node_split_id", "node_split_seed")
_SEED_OF_BLOCKS = 42
#: Keys of a profile that were called otherwise.
_OTHER_NAMES = ("split", "clips_per_class")
#: Splits that the earlier system measured nodes on.
_MEASURED = ("val", "test")
_SECONDS_OF_VGGSOUND = 10.0


@dataclass(frozen=True)
class Split:
    """What decides which clips of a node train.

    Attributes:
        values: keys of a profile with their values; empty for what a layout has anyway.
        sources: the keys of the file that they were made of.
    """

    values: Mapping[str, Any]
    sources: tuple[KeyPath, ...] = ()


def data_set_name(draft: Draft, node: Mapping[str, Any]) -> str:
    """The data set of a node, as the file names it: its own, or that of the section `dataset`."""
    return str(node.get("dataset") or draft.get("dataset", "name") or "ESC50")


def plain_name(data_set: str) -> str:
    """The name of a data set in lower case without hyphens, as tables have it."""
    return data_set.lower().replace("-", "").replace("_", "").replace(" ", "")


def settle_data(draft: Draft, nodes: Sequence[Node]) -> None:
    """Set layout, root, split, part and length of the clips of every node.

    Args:
        draft: what is written into.
        nodes: place and keys of every node.
    """
    if not nodes:
        return
    kinds = [plain_name(data_set_name(draft, node)) for _, node in nodes]
    has_folds = read_folds(draft, [node for node, kind in zip(nodes, kinds, strict=True) if kind == "esc50"])
    for (path, node), kind in zip(nodes, kinds, strict=True):
        if kind != "esc50":
            for key in ("train_folds", "val_folds", "test_folds"):
                if node.get(key) is not None:
                    draft.drop((*path, key), f"{data_set_name(draft, node)} has no folds")
    _set_places(draft, nodes, kinds)
    measured = _measured_splits(draft)
    splits = [
        _split(draft, path, node, kind, has_folds, measured) for (path, node), kind in zip(nodes, kinds, strict=True)
    ]
    splits = _alike_where_shared(draft, nodes, kinds, splits)
    _set_for_all(draft, [split.values for split in splits], [split.sources for split in splits])
    _set_measured(draft, measured)
    _set_parts(draft, nodes, kinds)
    ten_seconds = [path for (path, _), kind in zip(nodes, kinds, strict=True) if kind == "vggsound"]
    if ten_seconds:
        draft.set(("embedding", "seconds"), _SECONDS_OF_VGGSOUND, (*ten_seconds[0], "dataset"))


def _set_places(draft: Draft, nodes: Sequence[Node], kinds: Sequence[str]) -> None:
    """Layout and root of every node. Nothing is ever taken for another data set: what is not there is an error."""
    if set(kinds) == {"esc50"}:
        return  # --data-root gives it
    whole = len(set(kinds)) == 1
    for index, ((path, node), kind) in enumerate(zip(nodes, kinds, strict=True)):
        name = data_set_name(draft, node)
        source: KeyPath = (*path, "dataset") if node.get("dataset") is not None else path
        known = kind in _PLACES
        root, layout = _PLACES.get(kind, (f"data/{as_base_name(name) or 'unknown'}", None))
        place: KeyPath = ("data",) if whole or kind == "esc50" else ("nodes", index)
        if (*place, "root") not in draft.values:
            draft.set((*place, "root"), root, source)
            if layout is not None:
                draft.set((*place, "dataset"), layout, source)
        else:
            draft.sources[*place, "root"].append(source)
        if not known:
            draft.doubt(
                source,
                f"{name} is no data set of the earlier system: the classes are kept, and the run stops unless their "
                f"clips are in {root}, in a layout of docs/data.md",
            )


def _measured_splits(draft: Draft) -> tuple[str, ...]:
    value = draft.get("feda2v", "nodes_test_metrics_splits")
    path: KeyPath = ("feda2v", "nodes_test_metrics_splits")
    if value is None:
        return _MEASURED
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        draft.problem(path, 'expected a list of splits, like ["val", "test"]')
        return _MEASURED
    kept = tuple(name for name in _MEASURED if name in names)
    if not kept:
        draft.warn(path, "nothing is measured on clips that train: it is measured on those that are held out")
    return kept or _MEASURED


def _split(
    draft: Draft, path: KeyPath, node: Mapping[str, Any], kind: str, has_folds: bool, measured: tuple[str, ...]
) -> Split:
    by_split = kind == "vggsound" and str(node.get("use_official_split")).lower() == "true"
    if node.get("use_official_split") is not None and not by_split:
        draft.drop((*path, "use_official_split"), "split by ratio" if kind == "vggsound" else "VGGSound alone had one")
    written = {key: node[key] for key in _RATIOS if node.get(key) is not None}
    if by_split or (kind == "esc50" and has_folds):
        for key in written:
            draft.drop((*path, key), "the official split counts" if by_split else "the folds count")
        return Split({"split": "official"}, ((*path, "use_official_split"),)) if by_split else Split({})
    if kind != "vggsound" and written.pop("test_ratio", None) is not None:
        draft.drop((*path, "test_ratio"), "what the other two leave was held out")
    if kind != "vggsound" and not written and measured == _MEASURED:
        return Split({})  # 0.8, and the rest, are what a profile does anyway
    train, val = _DEFAULT_SHARES.get(kind, (0.8, 0.1))
    values = {"split": "ratio", "train_ratio": train, "val_ratio": val} | written
    return Split(values, tuple((*path, key) for key in written))


def _alike_where_shared(
    draft: Draft, nodes: Sequence[Node], kinds: Sequence[str], splits: Sequence[Split]
) -> list[Split]:
    """Nodes that share a class divide it alike: what trains on one would be held out on the other."""
    alike = list(splits)
    for kind in dict.fromkeys(kinds):
        places = [index for index, own in enumerate(kinds) if own == kind]
        first = alike[places[0]]
        seen: set[str] = set()
        shared = False
        for index in places:
            classes = set(draft.values.get(("nodes", index, "classes"), ()))
            shared, seen = shared or bool(classes & seen), seen | classes
        for index in places[1:] if shared else ():
            if alike[index].values != first.values:
                path = next(iter(alike[index].sources), nodes[index][0])
                draft.warn(path, "nodes share a class and have to divide it alike: as the first of them does")
                alike[index] = Split(first.values, alike[index].sources)
    return alike


def _set_for_all(draft: Draft, values: Sequence[Mapping[str, Any]], sources: Sequence[Sequence[KeyPath]]) -> None:
    """Set keys that `data` and every node have: in `data` where all nodes agree."""
    if all(one == values[0] for one in values):
        for key, value in values[0].items():
            draft.set(("data", key), value, *_fitting(key, [path for paths in sources for path in paths]))
        return
    for index, (one, paths) in enumerate(zip(values, sources, strict=True)):
        for key, value in one.items():
            draft.set(("nodes", index, key), value, *(_fitting(key, paths) or [draft.sources["nodes", index][0]]))


def _fitting(key: str, paths: Sequence[KeyPath]) -> list[KeyPath]:
    """The keys of the file from which a key comes: those of its name, or all that had a say in it."""
    return [path for path in paths if path[-1] == key] or (list(paths) if key in _OTHER_NAMES else [])


def _set_measured(draft: Draft, measured: tuple[str, ...]) -> None:
    path: KeyPath = ("feda2v", "nodes_test_metrics_splits")
    validation = [
        value
        for target, value in draft.values.items()
        if target[-1] in {"val_ratio", "val_folds"} and value not in (0, 0.0, None, [])
    ]
    there = measured if validation else tuple(name for name in measured if name != "val") or ("test",)
    if there != ("test",):
        sources = [path] if draft.value(path) is not None else []
        draft.set(("data", "evaluate_on"), list(there), *sources)
    elif draft.value(path) is not None and ("data", "evaluate_on") not in draft.values:
        draft.drop(path, "figures are measured on the clips that are held out")


def _set_parts(draft: Draft, nodes: Sequence[Node], kinds: Sequence[str]) -> None:
    """How many clips of each class, and which block of them."""
    counts: list[dict[str, Any]] = []
    sources: list[list[KeyPath]] = []
    for index, ((path, node), kind) in enumerate(zip(nodes, kinds, strict=True)):
        blocked = _set_block(draft, index, path, node, kind)
        counts.append({})
        sources.append([])
        for key in ("num_samples_per_class", "num_samples"):
            value = node.get(key)
            if value is None:
                continue
            if kind == "esc50":
                draft.drop((*path, key), "ESC-50 had all of its clips, whatever it said")
            elif blocked:
                draft.drop((*path, key), "samples_per_node says how many")
            elif value in (0, "0"):
                draft.drop((*path, key), "0 was all clips")
            elif counts[-1]:
                draft.drop((*path, key), "num_samples_per_class says how many")
            else:
                counts[-1]["clips_per_class"] = value
                sources[-1].append((*path, key))
    _set_for_all(draft, counts, sources)


def _set_block(draft: Draft, index: int, path: KeyPath, node: Mapping[str, Any], kind: str) -> bool:
    """Set the block of a node; whether it has one."""
    paths = [(*path, key) for key in _BLOCK if node.get(key) is not None]
    size, number = node.get("samples_per_node"), node.get("node_split_id")
    reason = None
    if kind != "vegas":
        reason = "VEGAS alone was divided in blocks"
    elif size in (None, 0, "0") or number is None:
        reason = "blocks need samples_per_node and node_split_id: the node holds all clips of its classes"
    if reason is not None:
        for one in paths:
            draft.drop(one, reason)
        return False
    seed = node.get("node_split_seed")
    written: dict[str, Any] = {"size": size, "id": number, "seed": _SEED_OF_BLOCKS if seed is None else seed}
    numbers: dict[str, int] = {}
    for (key, value), source in zip(written.items(), _BLOCK, strict=True):
        least = int(key == "size")
        if isinstance(value, bool) or not str(value).isdecimal() or int(value) < least:
            draft.problem((*path, source), f"expected a whole number of at least {least}")
            return False
        numbers[key] = int(value)
    draft.set(("nodes", index, "block"), numbers, *paths)
    return True
