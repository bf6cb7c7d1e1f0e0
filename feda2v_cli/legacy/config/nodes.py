"""Nodes: ids and classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from feda2v_cli.errors import closest
from feda2v_cli.legacy.config.data import data_set_name, plain_name
from feda2v_cli.legacy.config.draft import Draft, listed
from feda2v_cli.legacy.config.folds import Node
from feda2v_cli.legacy.config.generators import granularity_name
from feda2v_cli.legacy.config.legacy_key import Entry
from feda2v_cli.legacy.config.remarks import is_remark
from feda2v_cli.legacy.config.rules import carry_value
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.schema import as_class_name

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


def read_nodes(draft: Draft) -> list[Node]:
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
    nodes: list[Node] = []
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
        draft.note(entry.path, f"it has no meaning with granularity {own}")
        draft.drop(entry.path, "a group counts with granularity per_group alone")
    else:
        carry_value(draft, entry, as_class_name(entry.value) if isinstance(entry.value, str) else entry.value)


def _set_classes(draft: Draft, index: int, path: KeyPath, node: Mapping[str, Any]) -> None:
    name = data_set_name(draft, node)
    labels = LABELS.get(plain_name(name))
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
        draft.problem(
            source, f"leaves the node without a class of {name}: expected one at least{_meant(selected, labels)}"
        )
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
            draft.note((*path, index), "named twice")
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
        draft.doubt(path, f"no class of this data set: left out, as before{_meant([item], labels)}")
        return None
    return name


def _meant(written: Any, labels: Sequence[str] | None) -> str:
    """The classes that wrong names were meant for, as the end of a message; nothing where none is alike."""
    texts = (
        [as_class_name(item) for item in written or () if isinstance(item, str)] if isinstance(written, list) else []
    )
    near = [closest(text, labels or ()) for text in texts if text is not None and text not in (labels or ())]
    found = listed(dict.fromkeys(name for name in near if name))
    return f"; did you mean {found}?" if found else ""
