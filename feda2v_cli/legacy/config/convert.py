"""From a configuration of the earlier system to a profile that means the same."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from feda2v_cli.errors import ProfileError, closest
from feda2v_cli.legacy.config.adapters import settle_loading, settle_optimisers, settle_synthetic
from feda2v_cli.legacy.config.data import settle_data
from feda2v_cli.legacy.config.draft import Draft, Purpose
from feda2v_cli.legacy.config.encoder import settle_encoder
from feda2v_cli.legacy.config.generators import settle_groups, settle_names
from feda2v_cli.legacy.config.images import settle_images
from feda2v_cli.legacy.config.legacy_key import Entry, LegacyKey
from feda2v_cli.legacy.config.modes import read_modes, stages_off
from feda2v_cli.legacy.config.nodes import read_nodes
from feda2v_cli.legacy.config.read import LegacyFile
from feda2v_cli.legacy.config.remarks import is_remark, read_remarks
from feda2v_cli.legacy.config.rules import apply
from feda2v_cli.legacy.config.table import FOREIGN_SECTIONS, SECTIONS, TABLE
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.key_path import KeyPath, position
from feda2v_cli.profile.problem import NO_VALUE, Problem, from_pydantic, shown
from feda2v_cli.profile.schema import GeneratorSection, Profile, as_base_name

#: More epochs of a generator than anybody means who names none.
_MANY_EPOCHS = 1_000


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
    _refuse_other_algorithms(file)
    draft = Draft(file, strict)
    _check_sections(draft)
    modes = read_modes(draft)
    draft.purpose = modes.purpose
    draft.off = stages_off(draft, modes)
    read_remarks(draft)
    unknown = tuple(_unknown(draft))

    entries = list(_entries(draft))
    for entry in entries:
        if entry.node is None:
            apply(draft, entry)
    nodes = read_nodes(draft)
    node_entries = [entry for index, (path, _) in enumerate(nodes) for entry in _node_entries(draft, path, index)]
    for entry in node_entries:
        apply(draft, entry)
    settle_data(draft, nodes)
    settle_encoder(draft, nodes)
    settle_loading(draft, modes)
    settle_images(draft)

    _tell_repeated_keys(draft)
    if not draft.problems:
        settle_groups(draft)
    if not draft.problems:
        settle_names(draft, generators=modes.generators)
        _fill_in_defaults(draft)
        settle_optimisers(draft)
        settle_synthetic(draft, modes)
        _tell_epochs(draft)
        _settle_name(draft)
    profile = _validated(draft)
    in_order = sorted([*entries, *node_entries], key=lambda entry: file.places[entry.path])
    return Conversion(draft, profile, tuple(in_order), unknown)


def _refuse_other_algorithms(file: LegacyFile) -> None:
    """A file of another algorithm is called that, whatever else of ours is not in it."""
    path: KeyPath = ("federation", "algorithm")
    section = file.values.get("federation")
    name = section.get("algorithm") if isinstance(section, dict) else None
    if name is None or str(name).lower() == "feda2v":
        return
    line, column = position(file.places, path)
    raise ProfileError(
        f"{file.source} is no configuration of FedA2V",
        [f"{file.source}:{line}:{column} federation.algorithm = {shown(name)} — {name} is another algorithm"],
        hint='write "algorithm": "FedA2V", if it is one',
    )


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
            yield from _unknown_or_null(draft, (section, name), names)
        return
    for node, keys in values.items():
        if is_remark(node) or not isinstance(keys, dict):
            continue
        for name in keys:
            yield from _unknown_or_null(draft, ("nodes", node, name), names)


def _unknown_or_null(draft: Draft, path: KeyPath, names: list[str]) -> Iterator[Unknown]:
    name = str(path[-1])
    if is_remark(name):
        return
    if name not in names:
        yield _unknown_key(draft, path, names)
    elif draft.value(path) is None:
        draft.drop(path, "null is a key that is not written")


def _unknown_key(draft: Draft, path: KeyPath, names: list[str] | tuple[str, ...]) -> Unknown:
    name = str(path[-1])
    homes = [key.dotted for key in TABLE if key.name == name]
    near = closest(name, names)
    meant = homes[0] if homes else ".".join(str(part) for part in (*path[:-1], near)) if near else None
    if meant is not None:
        draft.doubt(path, f"not a key of the earlier system; did you mean {meant}?")
    elif draft.strict:
        draft.problem(path, "not a key of the earlier system")
    else:
        draft.note(path, "not a key of the earlier system")
    return Unknown(path, draft.value(path), meant)


def _tell_repeated_keys(draft: Draft) -> None:
    for path, _ in draft.file.repeated:
        draft.note(path, "written more than once, the last one counts, as before")


def _fill_in_defaults(draft: Draft) -> None:
    """Write what the earlier system took where the file is silent: the profile means what the run was."""
    strange = {
        Purpose.TRAIN: ("federation", "adapter", "synthetic"),
        Purpose.FEDERATE: ("generator",),
        Purpose.BOTH: (),
    }[draft.purpose]
    if draft.values.get(("adapter", "spaces")) == ["clip"]:
        strange = (*strange, "adapter.t5")
    for key in TABLE:
        if key.legacy_default is None or draft.get(key.section, key.name) is not None:
            continue
        if any(stage in draft.off for stage in key.stages):
            continue
        for name in key.becomes[:1] if key.legacy_default == "none" else key.becomes:
            target: KeyPath = tuple(name.split("."))
            if target not in draft.values and not name.startswith(strange):
                draft.fill_in(key.dotted, key.legacy_default, target)


def _tell_epochs(draft: Draft) -> None:
    """Rounds of the earlier system times epochs of ours are many, where nobody chose the epochs."""
    defaults = GeneratorSection()
    rounds = draft.values.get(("generator", "rounds"), defaults.rounds)
    if draft.purpose is Purpose.FEDERATE or ("generator", "epochs") in draft.values or not isinstance(rounds, int):
        return
    total = rounds * defaults.epochs
    if total > _MANY_EPOCHS:
        path: KeyPath = ("federation", "global_rounds")
        draft.warn(
            path if draft.value(path) is not None else ("feda2v",),
            f"{rounds} rounds x {defaults.epochs} default epochs are {total:,} epochs of a generator: "
            "generator.epochs and generator.rounds make it fewer",
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
