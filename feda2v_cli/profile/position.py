"""Where in a TOML text a key stands."""

from typing import Any

import tomli

from feda2v_cli.profile.problem import KeyPath


def position(text: str, path: KeyPath) -> tuple[int, int]:
    """Line and column, both from 1, of the statement that defines `path`.

    A statement ends at the first line with which the text up to there is valid TOML and holds the path; it begins
    after the last line with which the text is valid without it. So every syntax of TOML is right by construction.

    Args:
        text: a valid TOML document.
        path: a key path, like ("nodes", 1, "classes"); a part that the text does not hold counts for its parent.

    Returns:
        Line and column; (1, 1) when not even the first part is in the text.
    """
    whole = tomli.loads(text)
    while path and not _holds(whole, path):
        path = path[:-1]
    if not path:
        return 1, 1
    lines = text.splitlines()
    start = 0
    for end in range(1, len(lines) + 1):
        try:
            document = tomli.loads("\n".join(lines[:end]))
        except tomli.TOMLDecodeError:
            continue
        if _holds(document, path):
            return _column(lines, start, end, path)
        start = end
    return len(lines), 1


def _holds(value: Any, path: KeyPath) -> bool:
    for part in path:
        in_table = isinstance(value, dict) and part in value
        in_array = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if not in_table and not in_array:
            return False
        value = value[part]
    return True


def _column(lines: list[str], start: int, end: int, path: KeyPath) -> tuple[int, int]:
    names = [str(part) for part in path if isinstance(part, str)]
    for number in range(start, end):
        code = lines[number].split("#", 1)[0]
        if code.strip():
            column = code.find(names[-1])
            return number + 1, max(column, len(code) - len(code.lstrip())) + 1
    return end, 1
