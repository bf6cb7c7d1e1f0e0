"""A converted profile as TOML, in the order and with the comments of the shipped profiles."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Item, Table

from feda2v_cli.legacy.config.convert import Conversion
from feda2v_cli.legacy.config.draft import Purpose
from feda2v_cli.legacy.config.remarks import anchor, words
from feda2v_cli.profile.key_path import KeyPath, dotted
from feda2v_cli.profile.problem import shown
from feda2v_cli.profile.schema import NodeSection, Profile

_SUMMARIES = {
    Purpose.TRAIN: "RUN 1: train the generators of every node.",
    Purpose.FEDERATE: "RUN 2: train adapters over all nodes.",
    Purpose.BOTH: "RUN 1 and RUN 2: train the generators of every node, then adapters over all nodes.",
}
_ROOT = 'root = "data/ESC-50"          # unset: the built-in sounds'
_TARGETS = 'targets = "text_embs_dict.pt"  # with the text embeddings of the earlier system, and shapes = "{shapes}"'
_NAMES = "dir and base_name follow the granularity"
#: From which length on a list has several lines, and how many classes one of them has.
_LINE_CHARACTERS = 100
_CLASSES_A_LINE = 5


def commands(conversion: Conversion, path: str) -> tuple[str, ...]:
    """The commands that run a converted profile.

    Args:
        conversion: what was converted.
        path: the file of the profile.
    """
    root = "" if has_root(conversion.profile) else " --data-root DIR"
    runs = {
        Purpose.TRAIN: ("train-generators",),
        Purpose.FEDERATE: ("federate",),
        Purpose.BOTH: ("train-generators", "federate"),
    }
    return tuple(f"feda2v {command} -p {shlex.quote(path)}{root}" for command in runs[conversion.draft.purpose])


def has_root(profile: Profile) -> bool:
    """Whether all nodes know where their clips lie."""
    return profile.data.root is not None or all(node.root is not None for node in profile.nodes)


def written_keys(conversion: Conversion) -> dict[KeyPath, Any]:
    """The keys that differ from their defaults, with their values; nodes stand for themselves."""
    profile = conversion.profile
    found: dict[KeyPath, Any] = {}
    values, defaults = profile.model_dump(mode="json"), Profile(nodes=profile.nodes).model_dump(mode="json")
    for section, keys in values.items():
        if section != "nodes":
            found |= {(section, key): value for key, value in keys.items() if value != defaults[section][key]}
    for index, node in enumerate(values["nodes"]):
        found["nodes", index] = node
        found |= {("nodes", index, key): value for key, value in node.items() if value is not None}
    return found


def profile_text(conversion: Conversion, path: str) -> str:
    """The TOML of a converted profile.

    Args:
        conversion: what was converted.
        path: the file that it will be, for the commands in its comments.
    """
    written = written_keys(conversion)
    remarks = _remarks(conversion, written)
    document = tomlkit.document()
    _comment(document, _head(conversion, path))
    if () in remarks:
        document.add(tomlkit.nl())
        _comment(document, remarks[()])
    for section in Profile.model_fields:
        if section == "nodes":
            continue
        keys = {str(target[1]): value for target, value in written.items() if target[0] == section}
        hints = _hints(conversion, section)
        if keys or hints or (section,) in remarks:
            document.append(section, _section(section, keys, hints, remarks))
    nodes = tomlkit.aot()
    for index in range(len(conversion.profile.nodes)):
        nodes.append(_node(index, written, remarks))
    document.append("nodes", nodes)
    return tomlkit.dumps(document)


def _head(conversion: Conversion, path: str) -> list[str]:
    lines = [_SUMMARIES[conversion.draft.purpose]]
    lines += ["", *(f"  {command}" for command in commands(conversion, path)), ""]
    lines += [f"Converted from {conversion.draft.file.source}.", "Only what differs from a default is written."]
    for text in conversion.draft.intro:
        lines += ["", *text.splitlines()]
    return lines


def _remarks(conversion: Conversion, written: dict[KeyPath, Any]) -> dict[KeyPath, list[str]]:
    found: dict[KeyPath, list[str]] = {}
    for path, text in conversion.draft.remarks:
        place = anchor(conversion.draft, path, written)
        found.setdefault(place, []).extend(words(conversion.draft, path, text, place))
    for unknown in conversion.unknown:
        line = f"not carried over: {dotted(unknown.path)} = {shown(unknown.value, limit=10_000)}"
        found.setdefault(anchor(conversion.draft, unknown.path, written), []).append(line)
    return found


def _hints(conversion: Conversion, section: str) -> list[str]:
    profile = conversion.profile
    if section == "data" and profile.data.root is None:
        return [_ROOT]
    shapes = _shapes(conversion)
    if section == "adapter" and conversion.draft.purpose is not Purpose.TRAIN and shapes is not None:
        return [_TARGETS.format(shapes=shapes)]
    follows = profile.checkpoint.dir is None and profile.checkpoint.base_name is None
    if section == "checkpoint" and follows and profile.generator_dir is not None:
        return [f"{_NAMES}: {profile.generator_dir}, {profile.base_name}"]
    return []


def _shapes(conversion: Conversion) -> str | None:
    """The shapes of targets that the file asks for."""
    named = {str(entry.value).lower() for entry in conversion.entries if entry.key.name == "diffusion_type"}
    return next((shapes for shapes in ("flux", "sd") if shapes in named), None)


def _section(section: str, keys: dict[str, Any], hints: list[str], remarks: dict[KeyPath, list[str]]) -> Table:
    fields = Profile.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    table = tomlkit.table()
    _comment(table, remarks.get((section,), []))
    _comment(table, hints)
    for key, value in keys.items():
        if isinstance(value, dict):
            inner = tomlkit.table()
            _comment(inner, remarks.get((section, key), []))
            for name, names in value.items():
                inner.append(name, _item(names))
            table.append(key, inner)
        else:
            _comment(table, remarks.get((section, key), []))
            table.append(key, _item(value).comment(fields[key].description))
    return table


def _node(index: int, written: dict[KeyPath, Any], remarks: dict[KeyPath, list[str]]) -> Table:
    table = tomlkit.table()
    _comment(table, remarks.get(("nodes", index), []))
    for key in NodeSection.model_fields:
        target: KeyPath = ("nodes", index, key)
        if target in written:
            _comment(table, remarks.get(target, []))
            table.append(key, _item(written[target]))
    return table


def _item(value: Any) -> Item:
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update({key: inner for key, inner in value.items() if inner is not None})
        return inline
    item: Item = tomlkit.item(value)
    if not isinstance(value, list) or len(item.as_string()) <= _LINE_CHARACTERS:
        return item
    lines = tomlkit.array()
    for first in range(0, len(value), _CLASSES_A_LINE):
        lines.add_line(*value[first : first + _CLASSES_A_LINE])
    lines.add_line(indent="")
    return lines


def _comment(place: TOMLDocument | Table, lines: Sequence[str]) -> None:
    for line in lines:
        place.add(tomlkit.comment(_printable(line)))


def _printable(line: str) -> str:
    """The line without what a comment of TOML may not hold."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", " ", line).rstrip()
