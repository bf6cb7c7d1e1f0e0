"""From a configuration of the earlier system to a profile that means the same."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from feda2v_cli.errors import ProfileError, closest
from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.legacy.config.generators import settle_groups, settle_names
from feda2v_cli.legacy.config.legacy_key import Entry, LegacyKey
from feda2v_cli.legacy.config.modes import Modes, read_modes
from feda2v_cli.legacy.config.nodes import read_folds, read_nodes, settle_data
from feda2v_cli.legacy.config.read import LegacyFile
from feda2v_cli.legacy.config.remarks import is_remark, read_remarks
from feda2v_cli.legacy.config.table import FOREIGN_SECTIONS, SECTIONS, TABLE
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.key_path import KeyPath, position
from feda2v_cli.profile.problem import NO_VALUE, Problem, from_pydantic
from feda2v_cli.profile.schema import Profile, as_base_name


@dataclass(frozen=True)
class Unknown:
    """A key that the earlier system did not have.

    Attributes:
        path: its place in the file.
        value: its value.
        meant: the key that it may have been meant for, dotted.
    """

    path: KeyPath
    value: Any
    meant: str | None


@dataclass(frozen=True)
class Conversion:
    """A converted configuration.

    Attributes:
        draft: what was made of every key.
        profile: the profile.
        entries: the keys of the file that the table knows, in the order of the file.
        unknown: the keys that it does not know.
    """

    draft: Draft
    profile: Profile
    entries: tuple[Entry, ...]
    unknown: tuple[Unknown, ...]


def convert(file: LegacyFile, *, strict: bool = False) -> Conversion:
    """Convert a configuration.

    Args:
        file: what was read.
        strict: whether unknown keys, data sets and classes are problems.

    Raises:
        ProfileError: it is no configuration, or contradicts itself; all problems at once, each with its position.
    """
    draft = Draft(file, strict)
    _check_sections(draft)
    modes = read_modes(draft)
    draft.purpose = modes.purpose
    read_remarks(draft)
    unknown = tuple(_unknown(draft))

    entries = list(_entries(draft))
    for entry in entries:
        if entry.node is None:
            entry.key.rule(draft, entry)
    nodes = read_nodes(draft)
    node_entries = [entry for index, (path, _) in enumerate(nodes) for entry in _node_entries(draft, path, index)]
    for entry in node_entries:
        entry.key.rule(draft, entry)
    read_folds(draft, nodes)

    _tell_repeated_keys(draft)
    if not draft.problems:
        settle_data(draft, nodes)
        settle_groups(draft)
    if not draft.problems:
        settle_names(draft, generators=modes.generators)
        _settle_synthetic(draft, modes)
        _settle_name(draft)
    profile = _validated(draft)
    in_order = sorted([*entries, *node_entries], key=lambda entry: file.places[entry.path])
    return Conversion(draft, profile, tuple(in_order), unknown)


def _check_sections(draft: Draft) -> None:
    for name in SECTIONS:
        value = draft.file.values.get(name)
        if name != "nodes" and value is not None and not isinstance(value, dict):
            draft.problem((name,), f'expected a section: "{name}": {{ … }}')


def _entries(draft: Draft) -> Iterator[Entry]:
    for key in TABLE:
        value = draft.get(key.section, key.name)
        if key.section != "nodes" and value is not None:
            yield Entry(key, (key.section, key.name), value)


def _node_entries(draft: Draft, path: KeyPath, index: int) -> Iterator[Entry]:
    for key in _keys_of("nodes"):
        value = draft.value((*path, key.name))
        if value is not None:
            yield Entry(key, (*path, key.name), value, index)


def _keys_of(section: str) -> list[LegacyKey]:
    return [key for key in TABLE if key.section == section]


def _unknown(draft: Draft) -> Iterator[Unknown]:
    for section, values in draft.file.values.items():
        if is_remark(section) or section in FOREIGN_SECTIONS:
            if section in FOREIGN_SECTIONS:
                draft.drop((section,), FOREIGN_SECTIONS[section])
        elif section not in SECTIONS:
            yield _unknown_key(draft, (section,), SECTIONS)
        elif isinstance(values, dict):
            yield from _unknown_within(draft, section, values)


def _unknown_within(draft: Draft, section: str, values: dict[str, Any]) -> Iterator[Unknown]:
    names = [key.name for key in _keys_of(section)]
    if section != "nodes":
        for name in values:
            if name not in names and not is_remark(name):
                yield _unknown_key(draft, (section, name), names)
        return
    for node, keys in values.items():
        if is_remark(node) or not isinstance(keys, dict):
            continue
        for name in keys:
            if name not in names and not is_remark(name):
                yield _unknown_key(draft, ("nodes", node, name), names)


def _unknown_key(draft: Draft, path: KeyPath, names: list[str] | tuple[str, ...]) -> Unknown:
    name = str(path[-1])
    homes = [key.dotted for key in TABLE if key.name == name]
    near = closest(name, names)
    meant = homes[0] if homes else ".".join(str(part) for part in (*path[:-1], near)) if near else None
    draft.doubt(path, "not a key of the earlier system" + (f"; did you mean {meant}?" if meant else ""))
    return Unknown(path, draft.value(path), meant)


def _tell_repeated_keys(draft: Draft) -> None:
    for path, _ in draft.file.repeated:
        draft.warn(path, "written more than once, the last one counts, as before")


def _settle_synthetic(draft: Draft, modes: Modes) -> None:
    target: KeyPath = ("synthetic", "per_class")
    if not modes.generators:
        if draft.values.get(target) not in (None, 0):
            draft.warn(draft.sources[target][0], "without generators (use_generator) there are none: 0")
        use: KeyPath = ("feda2v", "use_generator")
        draft.set(target, 0, *draft.sources.get(target, [use] if draft.value(use) is not None else []))
    elif modes.purpose is not Purpose.TRAIN and ("synthetic", "use") not in draft.values:
        source: KeyPath = next(
            path
            for path in (("feda2v", "use_pretrained_generators"), ("feda2v", "use_generator"), ("feda2v",))
            if draft.value(path) is not None
        )
        draft.warn(
            source,
            "no synthetic sample reached the nodes' own training in the earlier system; here they do "
            "(synthetic.use = local)",
        )


def _settle_name(draft: Draft) -> None:
    if ("experiment", "name") not in draft.values:
        name = as_base_name(PurePath(draft.file.source).stem)
        if name is not None:
            draft.set(("experiment", "name"), name)


def _validated(draft: Draft) -> Profile:
    try:
        profile = Profile.model_validate(_nested(draft))
    except ValidationError as error:
        found = [problem for problem in map(from_pydantic, error.errors()) if problem is not None]
        raise _refusal(draft, [*draft.problems, *_not_told_yet(draft, found)]) from error
    problems = draft.problems or [_in_the_file(draft, problem) for problem in contradictions(profile)]
    if problems:
        raise _refusal(draft, problems)
    return profile


def _not_told_yet(draft: Draft, found: list[Problem]) -> Iterator[Problem]:
    """Problems of values; where a problem of the draft kept a value from being there, that is what is told."""
    told = {problem.path for problem in draft.problems}
    for problem in found:
        in_file = _in_the_file(draft, problem)
        missing = bool(told) and (problem.value is NO_VALUE or problem.path == ("nodes",))
        if not missing and in_file.path not in told:
            yield in_file


def _nested(draft: Draft) -> dict[str, Any]:
    values: dict[str, Any] = {}
    nodes: dict[int, dict[str, Any]] = {}
    for target, value in draft.values.items():
        if value is None:
            continue
        if target[0] == "nodes" and isinstance(target[1], int):
            nodes.setdefault(target[1], {})[str(target[2])] = value
        else:
            values.setdefault(str(target[0]), {})[str(target[1])] = value
    return values | {"nodes": [nodes[index] for index in sorted(nodes)]}


def _in_the_file(draft: Draft, problem: Problem) -> Problem:
    for length in range(len(problem.path), 0, -1):
        sources = draft.sources.get(problem.path[:length])
        if sources:
            return Problem(sources[0], draft.value(sources[0]), problem.expected)
    return problem


def _refusal(draft: Draft, problems: list[Problem]) -> ProfileError:
    in_order = sorted(problems, key=lambda problem: position(draft.file.places, problem.path))
    lines = list(dict.fromkeys(f"{draft.where(problem.path)} {problem}" for problem in in_order))
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    source = draft.file.source
    return ProfileError(
        f"{source} has {count}", lines, hint=f"feda2v convert-config {shlex.quote(source)} after mending it"
    )
