"""A problem of a profile: which key, which value, what was expected."""

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from feda2v_cli.errors import closest
from feda2v_cli.profile.allowed_values import allowed_values, closest_value
from feda2v_cli.profile.key_path import KeyPath, dotted
from feda2v_cli.profile.schema import BlockSection, NodeSection, Profile

#: The value of a problem whose place holds none.
NO_VALUE: Final = object()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a profile.

    Attributes:
        path: the key's place, like ("nodes", 1, "classes").
        value: the offending value, or NO_VALUE.
        expected: what is wrong with it, or what was expected.
    """

    path: KeyPath
    value: Any
    expected: str

    def __str__(self) -> str:
        value = "" if self.value is NO_VALUE else f" = {shown(self.value)}"
        return f"{dotted(self.path) or 'the profile'}{value} — {self.expected}"


def shown(value: Any, limit: int = 60) -> str:
    """A value as it would stand in a message, cut at `limit` characters."""
    if isinstance(value, PurePath):
        value = str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def from_pydantic(error: ErrorDetails) -> Problem | None:
    """A pydantic error in this program's words; None for one that only repeats another.

    Args:
        error: an entry of `pydantic.ValidationError.errors()`.
    """
    path = tuple(part for part in error["loc"] if not _is_union_branch(part))
    value = error["input"]
    match error["type"]:
        case "extra_forbidden":
            return Problem(path, value, "unknown key" + _did_you_mean_key(path))
        case "missing":
            what = "[[nodes]]" if path == ("nodes",) else str(path[-1])
            return Problem(path[:-1], NO_VALUE, f"{what} is missing, expected {allowed_values(path)}")
        case "value_error":
            return Problem(path, value, str(error["ctx"]["error"]))
        case "too_short" if len(value) >= error["ctx"]["min_length"]:
            return None  # pydantic counts items without the invalid ones, which have problems of their own
    if error["loc"][-1] == "[key]":
        place = (*path[:-1], "name")
        return Problem(path, NO_VALUE, f"the name {shown(value)} is not valid, {_expected((*place, 0), value)}")
    return Problem(path, value, _expected(path, value))


def _expected(path: KeyPath, value: Any) -> str:
    near = closest_value(path, value)
    return f"expected {allowed_values(path)}" + (f"; did you mean {shown(near)}?" if near is not None else "")


def _is_union_branch(part: str | int) -> bool:
    """Whether pydantic, not the user, put this part into an error's path."""
    return isinstance(part, str) and (part in {"constrained-int", "[key]"} or part.startswith("literal["))


def _did_you_mean_key(path: KeyPath) -> str:
    section = _section_at(path[:-1])
    if section is None:
        return ""
    near = closest(str(path[-1]), section.model_fields)
    if near:
        return f"; did you mean {dotted((*path[:-1], near))}?"
    for name, field in Profile.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel) and path[-1] in nested.model_fields:
            return f"; did you mean {name}.{path[-1]}?"
    return f"; {dotted(path[:-1]) or 'a profile'} has {', '.join(section.model_fields)}"


def _section_at(path: KeyPath) -> type[BaseModel] | None:
    if not path:
        return Profile
    if path[0] == "nodes":
        return {2: NodeSection, 3: BlockSection if path[-1] == "block" else None}.get(len(path))
    field = Profile.model_fields.get(str(path[0]))
    if field is None or len(path) > 1 or not isinstance(field.annotation, type):
        return None
    return field.annotation if issubclass(field.annotation, BaseModel) else None
