"""A problem of a profile: which key, which value, what was expected."""

import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from feda2v_cli.errors import closest
from feda2v_cli.profile.schema import NodeSection, Profile

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a profile.

    Attributes:
        path: the key's place, like ("nodes", 1, "classes").
        value: the offending value.
        expected: what is wrong with it, or what was expected.
    """

    path: KeyPath
    value: Any
    expected: str

    def __str__(self) -> str:
        return f"{dotted(self.path)} = {shown(self.value)} — {self.expected}"


def dotted(path: KeyPath) -> str:
    """A key path as people write it: `nodes.1.classes`."""
    return ".".join(str(part) for part in path)


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
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return Problem(path, error["input"], "unknown key" + _did_you_mean_key(path))
        case "literal_error":
            choices = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ",").split(",")]
            near = closest(str(error["input"]), choices)
            return Problem(
                path,
                error["input"],
                f"expected one of {', '.join(choices)}" + (f'; did you mean "{near}"?' if near else ""),
            )
        case "string_pattern_mismatch":
            return Problem(path, error["input"], f"expected {_PATTERNS.get(str(path[-1]), 'another form')}")
        case "missing":
            return Problem(path[:-1] or path, None, f"the key {dotted(path)} is missing")
        case "value_error":
            return Problem(path, error["input"], str(context["error"]))
    return Problem(path, error["input"], error["msg"].replace("Input should be", "expected").replace("Value", "value"))


#: What a pattern of the schema stands for, by the last part of the key path.
_PATTERNS = {
    "memory": 'auto, or a size like "2GB"',
    "base_name": "letters, digits, underscores and hyphens",
    "adapter_base_name": "letters, digits, underscores and hyphens",
    "name": "letters, digits, underscores and hyphens",
}


def _is_union_branch(part: str | int) -> bool:
    """Whether pydantic, not the user, put this part into an error's path."""
    return isinstance(part, str) and (part.endswith("]") or part in {"constrained-int", "[key]"})


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
        return NodeSection if len(path) == 2 else None
    field = Profile.model_fields.get(str(path[0]))
    if field is None or len(path) > 1 or not isinstance(field.annotation, type):
        return None
    return field.annotation if issubclass(field.annotation, BaseModel) else None
