"""A key of a profile: its path, and where in the TOML text the key, and an element of its value, stands."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tomli

#: Like ("nodes", 1, "classes"): the second node's classes.
KeyPath = tuple[str | int, ...]
#: Line and column, both from 1.
Position = tuple[int, int]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}"  # strings over several lines
    r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'"  # strings
    r"|\#[^\n]*|\n|[\[\]{},=]"  # comments, ends of lines, punctuation
    r"|[^\s\[\]{},=\"'\#]+",  # keys, numbers, dates, booleans
    re.DOTALL,
)


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `nodes.1.classes`."""
    return ".".join(str(part) for part in path)


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int


def positions(text: str) -> Mapping[KeyPath, Position]:
    """Line and column, both from 1, of every key, table and array element of a TOML text.

    Args:
        text: a valid TOML document.

    Returns:
        By key path, like ("nodes", 1, "classes", 0). A table stands where its header or its first key stands.
    """
    found: dict[KeyPath, Position] = {}
    line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
    array_lengths: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for tokens in _statements(text):
        start, end = tokens[0].start, tokens[-1].end
        values = tomli.loads(text[start:end])
        if tokens[0].text == "[":
            table = _header_path(values, array_lengths)
            places = {table: start}
        else:
            places = {(*table, *path): place for path, place in _statement_places(values, tokens)}
        for path, place in places.items():
            for length in range(1, len(path) + 1):
                found.setdefault(path[:length], _line_and_column(line_starts, place))
    return found


def position(found: Mapping[KeyPath, Position], path: KeyPath) -> Position:
    """The position of a key path, or of the nearest thing around it; (1, 1) when nothing of it is there.

    Args:
        found: what `positions` returned.
        path: a key path, like ("nodes", 1, "classes").
    """
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return 1, 1


def _statements(text: str) -> Iterator[list[_Token]]:
    statement: list[_Token] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        token = _Token(match.group(), match.start(), match.end())
        if token.text == "\n" and depth == 0:
            if statement:
                yield statement
            statement = []
        elif token.text != "\n" and not token.text.startswith("#"):
            depth += (token.text in "[{") - (token.text in "]}")
            statement.append(token)
    if statement:
        yield statement


def _header_path(values: dict[str, Any], array_lengths: dict[KeyPath, int]) -> KeyPath:
    """The path of `[a.b]` or `[[a.b]]`, with the index of every array of tables on the way."""
    path: KeyPath = ()
    inner: Any = values
    while inner:
        key, inner = next(iter(inner.items()))
        path = (*path, key)
        if isinstance(inner, list):
            array_lengths[path] = array_lengths.get(path, 0) + 1
            inner = inner[0]
        if path in array_lengths:
            path = (*path, array_lengths[path] - 1)
    return path


def _statement_places(values: dict[str, Any], tokens: list[_Token]) -> Iterator[tuple[KeyPath, int]]:
    equals = next(index for index, token in enumerate(tokens) if token.text == "=")
    key: Any = tomli.loads("".join(token.text for token in tokens[:equals]) + " = 0")
    path: KeyPath = ()
    value: Any = values
    while isinstance(key, dict):  # a dotted key is a table in a table
        name, key = next(iter(key.items()))
        path, value = (*path, name), value[name]
    yield path, tokens[0].start
    yield from _value_places(path, value, tokens[equals + 1 :])


def _value_places(path: KeyPath, value: Any, tokens: list[_Token]) -> Iterator[tuple[KeyPath, int]]:
    """The places of what stands within an array or an inline table.

    Args:
        path: path of the value.
        value: the value.
        tokens: of the value alone.
    """
    if not isinstance(value, dict | list) or not tokens or tokens[0].text not in "[{":
        return
    parts = _split(tokens[1:-1])
    if isinstance(value, list):
        for index, (inner, part) in enumerate(zip(value, parts, strict=False)):
            yield (*path, index), part[0].start
            yield from _value_places((*path, index), inner, part)
        return
    for part in parts:
        for inner_path, place in _statement_places(value, part):
            yield (*path, *inner_path), place


def _split(tokens: list[_Token]) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in "[{") - (token.text in "]}")
        if token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _line_and_column(line_starts: list[int], offset: int) -> Position:
    line = bisect_right(line_starts, offset)
    return line, offset - line_starts[line - 1] + 1
