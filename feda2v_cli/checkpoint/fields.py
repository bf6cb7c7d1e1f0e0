"""Fields of the metadata: plain values, as JSON has them, read by the types that the metadata's classes give them.

The standard library alone, because listing a thousand checkpoints must not wait for an import.
"""

import sys
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from feda2v_cli.errors import FailedError

_LARGEST_NUMBER = sys.float_info.max
#: Lists and tables within each other. Real metadata has three.
_DEEPEST = 32


class MetadataError(FailedError):
    """A field of the metadata is missing, unknown or of the wrong type; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"metadata field {field} {problem}")
        self.field = field


def typed(value: Any, hint: Any, place: str) -> Any:
    """A plain value as a field's type has it: lists become tuples."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return plain(value, place)
    if origin is types.UnionType:
        return None if value is None else typed(value, arguments[0], place)
    if origin is Literal and value in arguments:
        return value
    if origin is dict and type(value) is dict:
        return {
            typed(key, arguments[0], place): typed(item, arguments[1], f"{place}.{key}") for key, item in value.items()
        }
    if origin is tuple and type(value) is list and (arguments[-1] is Ellipsis or len(value) == len(arguments)):
        return tuple(typed(item, arguments[0], f"{place}.{index}") for index, item in enumerate(value))
    if hint is float and type(value) in (float, int):
        return plain(value, place)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise MetadataError(place, f"is {_shown(value)} — expected {_expected(hint)}")


def plain(value: Any, place: str) -> Any:
    """A value as JSON has it: tuples become lists, mappings dicts."""
    if value is None or type(value) in (str, bool):
        return value
    if type(value) in (int, float):
        if not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
            raise MetadataError(place, f"is {_shown(value)} — expected a finite number")
        return value
    if place.count(".") > _DEEPEST:
        raise MetadataError(place.partition(".")[0], f"is nested more than {_DEEPEST} deep")
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise MetadataError(place, f"has the key {_shown(key)} — expected text")
        return {key: plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{place}.{index}") for index, item in enumerate(value)]
    raise MetadataError(place, f"is {_shown(value)} — expected text, a number, a list or a table")


def _expected(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(arguments)
    if origin is types.UnionType:
        return f"{_expected(arguments[0])} or nothing"
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)}"
    words = {dict: "a table", tuple: "a list", str: "text", int: "an integer", float: "a number", bool: "true or false"}
    return words[origin or hint]


def _shown(value: object) -> str:
    if isinstance(value, dict | list | tuple | set):
        return f"a {type(value).__name__}"
    text = repr(value) if not isinstance(value, int) or abs(value) < _LARGEST_NUMBER else "a huge number"
    return text if len(text) <= 60 else f"{text[:59]}…"
