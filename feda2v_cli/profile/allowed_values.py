"""What may stand at a place of a profile, in words, and the valid value that is closest to a wrong one."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from feda2v_cli.errors import closest
from feda2v_cli.profile.key_path import KeyPath
from feda2v_cli.profile.schema import (
    BASE_NAME_PATTERN,
    CLASS_NAME_PATTERN,
    MEMORY_PATTERN,
    Profile,
    as_base_name,
    as_class_name,
)

Schema = dict[str, Any]
Value = str | int | float | list[Any]

_PATTERN_WORDS = {
    CLASS_NAME_PATTERN: "a name of lower case letters, digits and single underscores",
    BASE_NAME_PATTERN: "a name of letters, digits, underscores and hyphens",
    MEMORY_PATTERN: 'auto, or a size like "2GB"',
}
_CLOSEST_BY_PATTERN = {CLASS_NAME_PATTERN: as_class_name, BASE_NAME_PATTERN: as_base_name}


def allowed_values(path: KeyPath) -> str:
    """What may stand at a key path: `a whole number of at least 1`.

    Args:
        path: a key path that the schema of profiles has.
    """
    alternatives = [_words(schema) for schema in _alternatives(_schema_at(path))]
    return " or ".join(alternatives) or "nothing"


def closest_value(path: KeyPath, value: Any) -> Value | None:
    """The valid value that is closest to a wrong one; None when none is alike.

    Args:
        path: a key path that the schema of profiles has.
        value: what stands there.
    """
    if not isinstance(value, str):
        return None
    for schema in _alternatives(_schema_at(path)):
        near = _closest_by_schema(schema, value)
        if near is not None:
            return near
    return None


def _closest_by_schema(schema: Schema, text: str) -> Value | None:
    if schema.get("type") in {"integer", "number"}:
        return _number(schema, text)
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(text.lower())
    if "pattern" in schema and schema["pattern"] in _CLOSEST_BY_PATTERN:
        return _CLOSEST_BY_PATTERN[schema["pattern"]](text)
    if schema.get("type") == "array":
        near = _closest_by_schema(next(_alternatives(schema["items"])), text)
        return None if near is None else [near]
    return closest(text.lower(), _choices(schema))


def _number(schema: Schema, text: str) -> int | float | None:
    try:
        number = int(text) if schema["type"] == "integer" else float(text)
    except ValueError:
        return None
    above = number > schema.get("exclusiveMinimum", float("-inf")) and number >= schema.get("minimum", float("-inf"))
    below = number < schema.get("exclusiveMaximum", float("inf")) and number <= schema.get("maximum", float("inf"))
    return number if above and below else None


def _words(schema: Schema) -> str:
    choices = _choices(schema)
    if choices:
        return f"one of {', '.join(choices)}" if len(choices) > 1 else f'"{choices[0]}"'
    match schema.get("type"):
        case "integer":
            return f"a whole number{_bounds(schema)}"
        case "number":
            return f"a number{_bounds(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            return _array_words(schema)
        case "object":
            return "a table"
    if schema.get("format") == "path":
        return "a path in quotes"
    words = _PATTERN_WORDS.get(schema.get("pattern", ""), "text in quotes")
    return f"{words} (at most {schema['maxLength']})" if "maxLength" in schema else words


def _array_words(schema: Schema) -> str:
    items = next(_alternatives(schema["items"]))
    if items.get("type") == "object":
        return "one table or more, each under a [[nodes]] of its own"
    return f"a list{' with at least one item' if schema.get('minItems') else ''}, each {_words(items)}"


def _bounds(schema: Schema) -> str:
    low = schema.get("minimum")
    above = schema.get("exclusiveMinimum")
    high = schema.get("maximum")
    below = schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_figure(low)} to {_figure(high)}"
    parts = [
        *([f"of at least {_figure(low)}"] if low is not None else []),
        *([f"above {_figure(above)}"] if above is not None else []),
        *([f"of at most {_figure(high)}"] if high is not None else []),
        *([f"below {_figure(below)}"] if below is not None else []),
    ]
    return f" {' and '.join(parts)}" if parts else ""


def _figure(number: int | float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _choices(schema: Schema) -> list[str]:
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _schema_at(path: KeyPath) -> Schema:
    schema: Schema = _profile_schema()
    for part in path:
        schema = next(_alternatives(schema))
        if isinstance(part, int):
            schema = schema.get("items", {})
        elif part in schema.get("properties", {}):
            schema = schema["properties"][part]
        else:
            schema = next(iter(schema.get("patternProperties", {}).values()), {})
    return schema


def _alternatives(schema: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _alternatives(_profile_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for alternative in schema["anyOf"]:
            yield from _alternatives(alternative)
    elif schema.get("type") != "null":
        yield schema


@cache
def _profile_schema() -> Schema:
    return Profile.model_json_schema()
