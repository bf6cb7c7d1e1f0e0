"""What stands above the file: environment variables, `--set` and flags."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomli
from pydantic import BaseModel

from feda2v_cli.errors import UsageError, closest
from feda2v_cli.profile.key_path import KeyPath, dotted
from feda2v_cli.profile.schema import Profile

ENVIRONMENT_PREFIX = "FEDA2V_"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Override:
    """A value that is set from outside the file.

    Attributes:
        path: the key.
        value: its value.
        origin: what the user wrote it in: `--set generator.epochs`.
    """

    path: KeyPath
    value: Any
    origin: str


def from_environment(environment: Mapping[str, str]) -> list[Override]:
    """The overrides in environment variables: `FEDA2V_GENERATOR_EPOCHS=5` is `generator.epochs = 5`.

    Raises:
        UsageError: a variable with the prefix names no key.
    """
    keys = {
        f"{ENVIRONMENT_PREFIX}{section}_{key}".upper(): (section, key)
        for section, field in Profile.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    }
    overrides = []
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        if name not in keys:
            near = closest(name, keys)
            raise UsageError(
                f"environment variable {name} names no key of a profile",
                [f"did you mean {near}?"] if near else [],
                hint=f"unset {name}",
            )
        overrides.append(Override(keys[name], _toml_value(text), f"environment {name}"))
    return overrides


def from_settings(settings: Sequence[str]) -> list[Override]:
    """The overrides in the values of `--set`.

    Raises:
        UsageError: a setting is not of the form key=value.
    """
    overrides = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(part.strip() for part in key.split(".")):
            raise UsageError(f"--set {setting} — expected key=value", hint="--set generator.epochs=5")
        parts = [part.strip() for part in key.split(".")]
        path = tuple(int(part) if part.isdecimal() else part for part in parts)
        overrides.append(Override(path, _toml_value(text.strip()), f"--set {'.'.join(parts)}"))
    return overrides


def from_flags(flags: Mapping[str, tuple[str, Any]]) -> list[Override]:
    """The overrides in options of their own, like `--rounds`.

    Args:
        flags: by option, the dotted key that it sets and its value.
    """
    return [Override(tuple(key.split(".")), value, option) for option, (key, value) in flags.items()]


def as_setting(key: str, value: Any) -> str:
    """What `--set` takes to mean a value: `generator.type=gaussian`.

    Args:
        key: a dotted key.
        value: of JSON's types; keys of tables whose value is None are left out.
    """
    bare = isinstance(value, str) and value == value.strip() and _toml_value(value) == value
    return f"{key}={value if bare else _inline(value)}"


def _inline(value: Any) -> str:
    """A value in one line of TOML, whose texts, numbers and truths are written as in JSON."""
    if isinstance(value, Mapping):
        inner = (
            f"{name if _BARE_KEY.fullmatch(name) else json.dumps(name)} = {_inline(one)}"
            for name, one in value.items()
            if one is not None
        )
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value, ensure_ascii=False)


def put(values: dict[str, Any], override: Override) -> None:
    """Set an override's key in the values of a file.

    Raises:
        UsageError: the key is inside of something that has no keys.
    """
    place: Any = values
    for depth, part in enumerate(override.path[:-1]):
        if isinstance(place, list) and isinstance(part, int) and part < len(place):
            place = place[part]
        elif isinstance(place, dict) and isinstance(part, str):
            place = place.setdefault(part, {})
        else:
            raise UsageError(f"{override.origin} — there is no {dotted(override.path[: depth + 1])}")
    last = override.path[-1]
    if not isinstance(place, dict) or not isinstance(last, str):
        raise UsageError(f"{override.origin} — {dotted(override.path[:-1]) or 'the profile'} holds no keys")
    place[last] = override.value


def _toml_value(text: str) -> Any:
    try:
        parsed = tomli.loads(f"value = {text}")
    except (tomli.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text
