"""Granularity, groups and checkpoint names, which hang together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from feda2v_cli.legacy.config.draft import Draft, Purpose, listed
from feda2v_cli.legacy.config.legacy_key import Entry
from feda2v_cli.legacy.config.remarks import is_remark
from feda2v_cli.legacy.config.rules import carry_value
from feda2v_cli.profile.generator_names import BASE_NAMES, GENERATOR_DIRS, Granularity
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.schema import as_base_name, as_class_name

_GRANULARITY: KeyPath = ("generator", "granularity")
_GROUPS: KeyPath = ("generator", "groups")
_DIR: KeyPath = ("checkpoint", "dir")
_BASE_NAME: KeyPath = ("checkpoint", "base_name")
_GROUPS_EXAMPLE = '"generator_class_groups": {"animals": ["dog", "cow"]}'
#: Where the earlier system put a class that is in no group.
_OTHER = "other"


def granularity(draft: Draft, entry: Entry) -> None:
    """Carry a granularity over."""
    carry_value(draft, entry, entry.value.lower() if isinstance(entry.value, str) else entry.value)


def base_name(draft: Draft, entry: Entry) -> None:
    """Carry a base name over, in the letters that file names may have."""
    valid = as_base_name(entry.value) if isinstance(entry.value, str) else entry.value
    if valid != entry.value and valid is not None:
        draft.note(entry.path, f'no base name, made "{valid}"')
    carry_value(draft, entry, entry.value if valid is None else valid)


def groups(draft: Draft, entry: Entry) -> None:
    """Carry groups of classes over; those that are not valid stop nothing where no generator is per group."""
    problems = len(draft.problems)
    _carry_groups(draft, entry)
    if len(draft.problems) > problems and not _has_per_group(draft):
        del draft.problems[problems:], draft.values[_GROUPS], draft.sources[_GROUPS]
        draft.drop(entry.path, "no generator is per group, and these are no groups")


def _has_per_group(draft: Draft) -> bool:
    nodes = [node for node in draft.section("nodes").values() if isinstance(node, dict)]
    named = [draft.get("feda2v", "generator_granularity"), *(node.get("generator_granularity") for node in nodes)]
    return any(str(name).lower() == "per_group" for name in named)


def _carry_groups(draft: Draft, entry: Entry) -> None:
    found: dict[str, list[str]] = {}
    draft.set(_GROUPS, found, entry.path)
    if not isinstance(entry.value, dict):
        draft.problem(entry.path, f"expected groups with their classes: {_GROUPS_EXAMPLE}")
        return
    group_of: dict[str, str] = {}
    for group, classes in entry.value.items():
        path = (*entry.path, group)
        if is_remark(group) or classes is None:
            continue
        name = as_class_name(group)
        if name is None or name in found:
            draft.problem(path, "expected the name of a group" if name is None else f"the group {name} a second time")
            continue
        if not isinstance(classes, list) or not all(isinstance(text, str) for text in classes):
            draft.problem(path, 'expected a list of class names, like ["dog", "cow"]')
            continue
        found[name] = []
        for index, text in enumerate(classes):
            member = as_class_name(text)
            if member is None:
                draft.problem((*path, index), 'expected the name of a class, like "dog"')
            elif group_of.setdefault(member, name) != name:
                draft.problem((*path, index), f"in the group {group_of[member]} too: write it in one of the two")
            elif member not in found[name]:
                found[name].append(member)
        if not classes:
            draft.note(path, "a group without classes, left out")
            del found[name]


def settle_groups(draft: Draft) -> None:
    """Give every class that a per_group generator makes a group, as the earlier system did."""
    known = draft.values.get(_GROUPS, {})
    grouped = {name for names in known.values() for name in names}
    for index, node in _per_group_nodes(draft):
        homeless = [name for name in node if name not in grouped]
        source = draft.sources["nodes", index, "classes"][0]
        if homeless and not known:
            draft.problem(_source_of_granularity(draft, index), f"per_group needs groups: write {_GROUPS_EXAMPLE}")
            return
        if homeless:
            draft.note(source, f'in no group: {listed(homeless)}; they form the group "{_OTHER}", as before')
            known.setdefault(_OTHER, []).extend(homeless)
            grouped.update(homeless)


def settle_names(draft: Draft, *, generators: bool) -> None:
    """Leave out what follows the granularity, and the granularity where RUN 2 finds it itself."""
    name = granularity_name(draft)
    if name is None:
        return
    directory, base = draft.values.get(_DIR), draft.values.get(_BASE_NAME)
    if isinstance(directory, str) and Path(directory) == GENERATOR_DIRS[name]:
        draft.values[_DIR] = None
    elif isinstance(directory, str) and Path(directory) in GENERATOR_DIRS.values():
        draft.note(draft.sources[_DIR][0], f"generators of granularity {name} are in {GENERATOR_DIRS[name]} by default")
    if base == BASE_NAMES[name]:
        draft.values[_BASE_NAME] = None
    own_names = draft.values.get(_DIR) is None and draft.values.get(_BASE_NAME) is None
    if draft.purpose is Purpose.FEDERATE and generators and name == "unified" and own_names:
        draft.values[_GRANULARITY] = "auto"
        draft.sources.setdefault(_GRANULARITY, [("feda2v", "use_pretrained_generators")])


def granularity_name(draft: Draft) -> Granularity | None:
    """The granularity of a draft; None when it is none."""
    name = draft.values.get(_GRANULARITY, "unified")
    return name if name in get_args(Granularity) else None


def _per_group_nodes(draft: Draft) -> Iterator[tuple[int, list[str]]]:
    """Index and classes of the nodes whose classes have to be in groups."""
    index = 0
    while ("nodes", index, "id") in draft.values:
        own: Any = draft.values.get(("nodes", index, "granularity")) or granularity_name(draft)
        if own == "per_group" and draft.values.get(("nodes", index, "group")) is None:
            classes = draft.values.get(("nodes", index, "classes"), [])
            yield index, draft.values.get(("nodes", index, "train_classes")) or classes
        index += 1


def _source_of_granularity(draft: Draft, node: int) -> KeyPath:
    target: KeyPath = ("nodes", node, "granularity")
    if draft.values.get(target) is None:
        target = _GRANULARITY
    return draft.sources[target][0]
