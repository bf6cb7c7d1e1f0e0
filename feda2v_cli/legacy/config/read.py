"""A configuration of the earlier system, with the position of everything in it."""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feda2v_cli.errors import MissingError, ProfileError
from feda2v_cli.profile.key_path import KeyPath, Position

#: Words of other languages, and what JSON says instead.
_FOREIGN = {"True": "true", "False": "false", "None": "null", "'": 'double quotes: "', "undefined": "null"}
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
#: Of JSON as people write it, with comments.
_LOOSE_TOKEN = re.compile(
    r'(?P<string>"(?:\\.|[^"\\\n])*"?)'
    r"|(?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)"
    r"|(?P<open>/\*)"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class LegacyFile:
    """What a configuration of the earlier system holds, and where.

    Attributes:
        source: its path, as the user gave it.
        values: sections and their keys; of a key that is written twice, the last value, as the earlier system read it.
        places: line and column of every key and every element of a list.
        repeated: keys that are written more than once, with the place of the value that counts.
        comments: what comments say, each with the key that it stands beside or before.
    """

    source: str
    values: Mapping[str, Any]
    places: Mapping[KeyPath, Position]
    repeated: tuple[tuple[KeyPath, Position], ...] = ()
    comments: tuple[tuple[KeyPath, str], ...] = ()


@dataclass(frozen=True)
class Comment:
    """A comment of a JSON text.

    Attributes:
        text: what it says.
        offset: where it begins.
    """

    text: str
    offset: int


@dataclass(frozen=True)
class StrictText:
    """A JSON text without what strict JSON forbids.

    Attributes:
        text: as long as the text that was read; comments and trailing commas are blanks.
        comments: what was blanked.
        unclosed: where a comment begins that never ends; None when every comment ends.
    """

    text: str
    comments: tuple[Comment, ...]
    unclosed: int | None


def read_file(path: Path) -> LegacyFile:
    """Read a configuration of the earlier system.

    Raises:
        MissingError: there is no such file.
        ProfileError: it is no JSON object.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(
            f"{path} is not there", hint="feda2v convert-config takes JSON files and directories"
        ) from error
    except OSError as error:
        raise MissingError(f"{path} cannot be read — {error.strerror}") from error
    encoding = json.detect_encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ProfileError(
            f"{path} is not {encoding.upper()} text — byte {error.start} cannot be read", hint=f"save {path} as UTF-8"
        ) from error
    return read_text(text, str(path))


def read_text(text: str, source: str) -> LegacyFile:
    """Read the text of a configuration: JSON, with comments and trailing commas.

    Args:
        text: the text.
        source: what messages call it.

    Raises:
        ProfileError: it is no JSON object, with the position and what to write.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    strict = strict_text(text)
    if strict.unclosed is not None:
        raise _refusal(text, source, strict.unclosed, "a comment begins here and never ends, write */ at its end")
    try:
        value = json.loads(strict.text, strict=False)
        if not isinstance(value, dict):
            raise _refusal(
                text, source, _first(strict.text), "expected an object of sections: { … }", "a configuration"
            )
        walk = _Walk(strict.text)
        values = walk.value(())
    except json.JSONDecodeError as error:
        raise _refusal(text, source, error.pos, _advice(strict.text, error)) from error
    except RecursionError as error:
        raise ProfileError(f"{source} is nested too deeply — expected sections of keys") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise ProfileError(f"{source} holds a number that is too long — expected at most 4300 digits") from error
    starts = _line_starts(text)
    return LegacyFile(
        source,
        values,
        {path: _position(starts, offset) for path, offset in walk.offsets.items()},
        tuple((path, _position(starts, walk.offsets[path])) for path in walk.repeated),
        _beside(strict, walk.offsets, starts),
    )


@dataclass
class _Walk:
    """A second reading of a text that is known to be strict JSON, for what the json module does not tell."""

    text: str
    offsets: dict[KeyPath, int] = field(default_factory=dict)
    repeated: list[KeyPath] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tokens = list(_TOKEN.finditer(self.text))
        self._next = 0

    def value(self, path: KeyPath) -> Any:
        offset = self._tokens[self._next].start()
        token = self._take()
        if token == "{":
            return self._object(path)
        if token == "[":
            return self._array(path)
        value = json.loads(token, strict=False)
        if isinstance(value, float) and not math.isfinite(value):
            raise json.JSONDecodeError("expected a finite number", self.text, offset)
        return _sound(value) if isinstance(value, str) else value

    def _object(self, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != "}":
            offset = self._tokens[self._next].start()
            key = _sound(json.loads(self._take(), strict=False))
            self._take()  # the colon
            if key in found:
                self._forget((*path, key))
                self.repeated.append((*path, key))
                del found[key]
            self.offsets[(*path, key)] = offset
            found[key] = self.value((*path, key))
            if self._peek() == ",":
                self._take()
        self._take()
        return found

    def _array(self, path: KeyPath) -> list[Any]:
        found: list[Any] = []
        while self._peek() != "]":
            self.offsets[(*path, len(found))] = self._tokens[self._next].start()
            found.append(self.value((*path, len(found))))
            if self._peek() == ",":
                self._take()
        self._take()
        return found

    def _forget(self, path: KeyPath) -> None:
        for known in [known for known in self.offsets if known[: len(path)] == path]:
            del self.offsets[known]
        self.repeated = [known for known in self.repeated if known[: len(path)] != path]

    def _peek(self) -> str:
        return self._tokens[self._next].group()

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1].group()


def _sound(text: str) -> str:
    """The text without halves of characters, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _beside(strict: StrictText, offsets: dict[KeyPath, int], starts: list[int]) -> tuple[tuple[KeyPath, str], ...]:
    """Every comment with the last key that begins before it on its line, else the next key."""
    keys = sorted((offset, path) for path, offset in offsets.items() if isinstance(path[-1], str))
    found: list[tuple[KeyPath, str]] = []
    for comment in strict.comments:
        index = bisect_right(keys, comment.offset, key=lambda key: key[0])
        on_line = index > 0 and _position(starts, keys[index - 1][0])[0] == _position(starts, comment.offset)[0]
        if comment.text and keys:
            found.append((keys[index - 1 if on_line or index == len(keys) else index][1], comment.text))
    return tuple(found)


def _advice(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos :]
    if not rest.strip() and text.strip():
        return "the file ends in the middle, a bracket or a value is missing"
    if not text.strip():
        return "the file is empty"
    for foreign, instead in _FOREIGN.items():
        if rest.startswith(foreign):
            return f"{foreign} is no JSON, write {instead}"
    if error.msg.startswith("Expecting property name"):
        return "expected a key in double quotes"
    if error.msg.startswith("Unterminated string"):
        return "the text that begins here never ends, a closing double quote is missing"
    if error.msg.startswith("Extra data"):
        return "expected the end of the file, one object is all that it may hold"
    return error.msg[0].lower() + error.msg[1:]


def _refusal(text: str, source: str, offset: int, advice: str, what: str = "valid JSON") -> ProfileError:
    line, column = _position(_line_starts(text), offset)
    return ProfileError(
        f"{source}:{line}:{column} is not {what} — {advice}", hint="feda2v profiles show unified prints a valid profile"
    )


def _first(text: str) -> int:
    return len(text) - len(text.lstrip())


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _position(starts: list[int], offset: int) -> Position:
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


def strict_text(text: str) -> StrictText:
    """Blank `//`, `#` and `/* */` comments and the comma before a closing bracket, so that every position stays right.

    >>> strict_text("[1, 2,] // two").text
    '[1, 2 ]       '
    """
    pieces: list[str] = []
    comments: list[Comment] = []
    unclosed: int | None = None
    last, before_last = -1, -1  # pieces that are neither blank nor comment
    for match in _LOOSE_TOKEN.finditer(text):
        kind, piece = match.lastgroup, match.group()
        if kind == "comment":
            comments.append(Comment(_words_of(piece), match.start()))
            piece = re.sub(r"[^\n]", " ", piece)
        elif kind == "open":
            unclosed = match.start()
            break
        elif kind != "space":
            follows_value = before_last >= 0 and pieces[before_last] not in ("[", "{", ",", ":")
            if piece in ("]", "}") and last >= 0 and pieces[last] == "," and follows_value:
                pieces[last] = " "
            before_last, last = last, len(pieces)
        pieces.append(piece)
    return StrictText("".join(pieces), tuple(comments), unclosed)


def _words_of(comment: str) -> str:
    if comment.startswith("/*"):
        lines = (line.strip().lstrip("*").strip() for line in comment[2:-2].splitlines())
        return "\n".join(line for line in lines if line)
    return comment.lstrip("/#").strip()
