"""Nodes: ids, classes, where their clips come from, and their folds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from feda2v_cli.errors import closest
from feda2v_cli.legacy.config.draft import Draft, listed
from feda2v_cli.legacy.config.generators import granularity_name
from feda2v_cli.legacy.config.legacy_key import Entry
from feda2v_cli.legacy.config.remarks import is_remark
from feda2v_cli.legacy.config.rules import carry_value
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.schema import as_base_name, as_class_name

_EXAMPLE = '"nodes": {"0": {"dataset": "ESC50", "selected_classes": ["dog"]}}'
_ESC50 = """
    dog rooster pig cow frog cat hen insects sheep crow
    rain sea_waves crackling_fire crickets chirping_birds water_drops wind pouring_water toilet_flush thunderstorm
    crying_baby sneezing clapping breathing coughing footsteps laughing brushing_teeth snoring drinking_sipping
    door_wood_knock mouse_click keyboard_typing door_wood_creaks can_opening washing_machine vacuum_cleaner
    clock_alarm clock_tick glass_breaking
    helicopter chainsaw siren car_horn engine train church_bells airplane fireworks hand_saw
"""
_VEGAS = "baby_cry chainsaw dog drum fireworks helicopter printer rail_transport snoring water_flowing"

#: By data set in lower case without hyphens. Those of VGGSound stood in a file beside its clips.
LABELS: dict[str, tuple[str, ...]] = {"esc50": tuple(_ESC50.split()), "vegas": tuple(_VEGAS.split())}
#: ESC-50 has five.
_ALL_FOLDS = frozenset(range(1, 6))
Folds = tuple[int, ...]


def read_nodes(draft: Draft) -> list[tuple[KeyPath, Mapping[str, Any]]]:
    """Set id and classes of every node.

    Returns:
        Place and keys of every node, in their order.
    """
    section = draft.file.values.get("nodes")
    if section is None:
        draft.problem(("nodes",), f"the section is missing, expected one node at least: {_EXAMPLE}")
        return []
    if not isinstance(section, dict) or not any(not is_remark(key) for key in section):
        draft.problem(("nodes",), f"expected nodes by their ids: {_EXAMPLE}")
        return []
    nodes: list[tuple[KeyPath, Mapping[str, Any]]] = []
    ids: dict[int, str] = {}
    for key, node in section.items():
        path: KeyPath = ("nodes", key)
        if is_remark(key):
            continue
        if not key.strip().isdecimal() or not key.strip().isascii() or len(key.strip()) > 9:
            draft.problem(path, 'expected an id as a key of nodes: a whole number in quotes, like "0"')
        elif not isinstance(node, dict):
            draft.problem(path, f"expected the keys of a node: {_EXAMPLE}")
        elif ids.setdefault(int(key), key) != key:
            draft.problem(path, f'the same id as "{ids[int(key)]}": give every node an id of its own')
        else:
            nodes.append((path, node))
    for index, (path, node) in enumerate(nodes):
        draft.sources["nodes", index] = [path]
        draft.set(("nodes", index, "id"), int(str(path[-1])), path)
        _set_classes(draft, index, path, node)
    return nodes


def data_set_name(draft: Draft, node: Mapping[str, Any]) -> str:
    """The data set of a node, as the file names it: its own, or that of the section `dataset`."""
    return str(node.get("dataset") or draft.get("dataset", "name") or "ESC50")


def settle_data(draft: Draft, nodes: Sequence[tuple[KeyPath, Mapping[str, Any]]]) -> None:
    """Point every node whose data set is not supported at a directory that has to be given first.

    Such a profile must not run on the built-in sounds unnoticed: a root that is not there is an error.
    """
    names = [data_set_name(draft, node) for _, node in nodes]
    strange = [index for index, name in enumerate(names) if _plain(name) != "esc50"]
    whole = len(strange) == len(nodes) and len(set(names)) == 1
    for index in strange:
        path, name = nodes[index][0], names[index]
        source = (*path, "dataset") if draft.value((*path, "dataset")) else path
        root = f"data/{as_base_name(name) or 'unknown'}"
        place: KeyPath = ("data",) if whole else ("nodes", index)
        if whole and ("data", "root") in draft.values:
            root = str(draft.values["data", "root"])
        else:
            draft.set((*place, "root"), root, source)
        if ("data", "dataset") not in draft.values:
            draft.set((*place, "dataset"), "esc50", source)
        draft.doubt(
            source,
            f"{name} is not supported yet: the classes are kept, and the run stops unless their clips are in "
            f"{root} in the ESC-50 layout",
        )
        draft.remarks.append((source, f"{name} is not supported yet: put its clips here, in the ESC-50 layout"))


def train_classes(draft: Draft, entry: Entry) -> None:
    """Classes that the generators of a node make: some of its own."""
    own = draft.values.get(entry.target("nodes.classes"), [])
    named = _class_names(draft, entry.path, entry.value, None)
    strange = [name for name in named if name not in own]
    if strange:
        draft.doubt(entry.path, f"the node does not hold {listed(strange)}: left out, as before")
    kept = [name for name in named if name in own]
    carry_value(draft, entry, None if set(kept) == set(own) or not kept else kept)


def node_granularity(draft: Draft, entry: Entry) -> None:
    """A node's own granularity, where it differs from the others'."""
    value = entry.value.lower() if isinstance(entry.value, str) else entry.value
    carry_value(draft, entry, None if value == granularity_name(draft) else value)


def node_group(draft: Draft, entry: Entry) -> None:
    """The group that all classes of a node form."""
    own = draft.values.get(entry.target("nodes.granularity")) or granularity_name(draft)
    if own != "per_group":
        draft.warn(entry.path, f"it has no meaning with granularity {own}")
        draft.drop(entry.path, "a group counts with granularity per_group alone")
    else:
        carry_value(draft, entry, as_class_name(entry.value) if isinstance(entry.value, str) else entry.value)


def _set_classes(draft: Draft, index: int, path: KeyPath, node: Mapping[str, Any]) -> None:
    name = data_set_name(draft, node)
    labels = LABELS.get(_plain(name))
    problems = len(draft.problems)
    selected, excluded = node.get("selected_classes"), node.get("excluded_classes")
    source = (*path, "selected_classes") if selected is not None else path
    if selected is None and labels is None:
        draft.problem(path, f"no selected_classes means all, and those of {name} are not known: list them")
        return
    classes = list(labels or ()) if selected is None else _class_names(draft, source, selected, labels)
    if excluded is not None:
        left_out = _class_names(draft, (*path, "excluded_classes"), excluded, labels)
        classes = [name for name in classes if name not in left_out]
    if len(draft.problems) > problems:
        return
    if not classes:
        draft.problem(source, f"leaves the node without a class of {name}: expected one at least")
        return
    sources = [source, *([(*path, "excluded_classes")] if excluded is not None else [])]
    draft.set(("nodes", index, "classes"), classes, *sources)


def _class_names(draft: Draft, path: KeyPath, value: Any, labels: Sequence[str] | None) -> list[str]:
    if not isinstance(value, list):
        draft.problem(path, 'expected a list of classes, like ["dog", "cow"]')
        return []
    found: list[str] = []
    for index, item in enumerate(value):
        name = _class_name(draft, (*path, index), item, labels)
        if name in found:
            draft.warn((*path, index), "named twice")
        elif name is not None:
            found.append(name)
    return found


def _class_name(draft: Draft, path: KeyPath, item: Any, labels: Sequence[str] | None) -> str | None:
    if isinstance(item, int) and not isinstance(item, bool):
        if labels is not None and 0 <= item < len(labels):
            return labels[item]
        draft.problem(path, "expected the name of a class" + (f", or 0 to {len(labels) - 1}" if labels else ""))
        return None
    name = as_class_name(item) if isinstance(item, str) else None
    if name is None:
        draft.problem(path, 'expected the name of a class, like "dog"')
        return None
    if labels is not None and name not in labels:
        near = closest(name, labels)
        meant = f"; did you mean {near}?" if near else ""
        draft.doubt(path, f"no class of this data set: left out, as before{meant}")
        return None
    return name


def _plain(data_set: str) -> str:
    return data_set.lower().replace("-", "").replace("_", "").replace(" ", "")


def read_folds(draft: Draft, nodes: Sequence[tuple[KeyPath, Mapping[str, Any]]]) -> None:
    """Set the folds that train and test, numbered from 0 there and from 1 here; what nodes say differently is told.

    Args:
        draft: what is written into.
        nodes: place and keys of every node.
    """
    found: dict[str, list[tuple[KeyPath, Folds]]] = {"train_folds": [], "test_folds": []}
    for path, node in nodes:
        for key in found:
            if node.get(key) is None:
                continue
            if str(node.get("use_folds")).lower() == "false":
                draft.drop((*path, key), "use_folds is false: the profile takes its default folds")
                continue
            folds = _fold_numbers(draft, (*path, key), node[key])
            if folds:
                found[key].append(((*path, key), folds))
    if draft.problems or not any(found.values()):
        return
    shift = _shift_of_folds(draft, [entry for entries in found.values() for entry in entries])
    train = _most_frequent_folds(draft, found["train_folds"], shift)
    test = _most_frequent_folds(draft, found["test_folds"], shift)
    _set_folds(
        draft, train or tuple(sorted(_ALL_FOLDS - set(test))), test or tuple(sorted(_ALL_FOLDS - set(train))), found
    )


def _fold_numbers(draft: Draft, path: KeyPath, value: Any) -> Folds:
    items = value if isinstance(value, list) else [value]
    texts = [str(item).strip() for item in items if not isinstance(item, bool)]
    if not texts or len(texts) < len(items) or not all(text in {"0", "1", "2", "3", "4", "5"} for text in texts):
        draft.problem(path, "expected a list of folds from 0 to 4, like [0, 1, 2, 3]")
        return ()
    return tuple(dict.fromkeys(int(text) for text in texts))


def _shift_of_folds(draft: Draft, entries: Sequence[tuple[KeyPath, Folds]]) -> int:
    """What makes a fold's number of the earlier system's: 1, or 0 in a file that counts from 1 to 5."""
    numbers = {number for _, folds in entries for number in folds}
    of_five = next((path for path, folds in entries if 5 in folds), None)
    if of_five is None:
        return 1
    if 0 in numbers:
        draft.problem(of_five, "there are folds 0 and 5 in this file: count from 0 to 4, or from 1 to 5")
    else:
        draft.warn(of_five, "there is a fold 5: the folds of this file are taken as numbered from 1 to 5")
    return 0


def _most_frequent_folds(draft: Draft, entries: Sequence[tuple[KeyPath, Folds]], shift: int) -> Folds:
    if not entries:
        return ()
    ordered = [(path, tuple(sorted(number + shift for number in folds))) for path, folds in entries]
    chosen = Counter(folds for _, folds in ordered).most_common(1)[0][0]
    for path, folds in ordered:
        if folds != chosen:
            draft.warn(path, f"other nodes differ, and one choice serves all: {listed(chosen)}, counted from 1")
    return chosen


def _set_folds(draft: Draft, train: Folds, test: Folds, found: Mapping[str, list[tuple[KeyPath, Folds]]]) -> None:
    paths = {key: [path for path, _ in entries] for key, entries in found.items()}
    both = sorted(set(train) & set(test))
    first = (paths["test_folds"] or paths["train_folds"])[0]
    if both:
        draft.problem(first, f"fold {both[0]} (counted from 1) is in train_folds and in test_folds: write it in one")
        return
    if not train or not test:
        draft.problem(first, "takes all folds, none is left to train or to test on")
        return
    for key, folds in (("train_folds", train), ("test_folds", test)):
        draft.set(("data", key), list(folds), *(paths[key] or [first]))
    draft.warn(first, "the earlier system split the clips by ratio; here the folds count, and 0 to 4 are 1 to 5")
