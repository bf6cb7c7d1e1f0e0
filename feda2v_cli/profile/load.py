"""From a file, the environment and the command line to one profile, with the origin of every value."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
from pydantic import ValidationError

from feda2v_cli.errors import ProfileError, UsageError, closest
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.position import position
from feda2v_cli.profile.problem import KeyPath, Problem, dotted, from_pydantic
from feda2v_cli.profile.schema import Profile
from feda2v_cli.profile.shipped import find_profile

ENVIRONMENT_PREFIX = "FEDA2V_"


@dataclass(frozen=True)
class LoadedProfile:
    """A profile and where it came from.

    Attributes:
        profile: the effective values.
        name: name of the file without its ending.
        path: the file.
        text: the file as it was read.
        origins: for each key that is not a default, by dotted key path: file and line, environment variable or option.
    """

    profile: Profile
    name: str
    path: Path
    text: str
    origins: Mapping[str, str]


@dataclass(frozen=True)
class _Setting:
    path: KeyPath
    value: Any
    origin: str


def load_profile(
    name_or_path: str,
    *,
    flags: Mapping[str, tuple[str, Any]] | None = None,
    settings: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> LoadedProfile:
    """Load a profile. A flag beats `--set`, which beats the environment, which beats the file, which beats defaults.

    Args:
        name_or_path: a shipped profile's name, or a TOML file.
        flags: by option, like `--rounds`: the dotted key that it sets and its value.
        settings: `key=value` with a dotted key and a TOML value; what is no TOML value is text.
        environment: variables; those that begin with `FEDA2V_` are read: `FEDA2V_GENERATOR_EPOCHS` is
            `generator.epochs`. None is this process's own.

    Raises:
        ProfileError: the file is no TOML or the values are invalid; all problems at once.
        UsageError: no such profile, or a setting or variable that names no key.
    """
    path = find_profile(name_or_path)
    text = _read(path)
    try:
        values = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ProfileError(
            f"{path}:{error.lineno}:{error.colno} is not valid TOML — {error.msg}",
            hint="feda2v profiles show unified prints a valid profile",
        ) from error

    origins = {dotted(leaf): f"{path}:{position(text, leaf)[0]}" for leaf in _leaves(values)}
    for setting in (
        *_from_environment(os.environ if environment is None else environment),
        *_from_settings(settings),
        *(_Setting(tuple(key.split(".")), value, option) for option, (key, value) in (flags or {}).items()),
    ):
        _put(values, setting)
        origins = {key: origin for key, origin in origins.items() if not key.startswith(f"{dotted(setting.path)}.")}
        origins[dotted(setting.path)] = setting.origin

    profile = _validate(values, path, text, origins)
    return LoadedProfile(profile, path.stem, path, text, origins)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not UTF-8 text — byte {error.start} cannot be read") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read — {error.strerror}") from error


def _from_environment(environment: Mapping[str, str]) -> list[_Setting]:
    keys = {
        f"{ENVIRONMENT_PREFIX}{section}_{key}".upper(): (section, key)
        for section, field in Profile.model_fields.items()
        if hasattr(field.annotation, "model_fields")
        for key in field.annotation.model_fields  # type: ignore[union-attr]
    }
    settings = []
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
        settings.append(_Setting(keys[name], _toml_value(text), f"environment {name}"))
    return settings


def _from_settings(settings: Sequence[str]) -> list[_Setting]:
    parsed = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(key.strip().split(".")):
            raise UsageError(f"--set {setting} — expected key=value", hint="--set generator.epochs=5")
        path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
        parsed.append(_Setting(path, _toml_value(text), f"--set {key.strip()}"))
    return parsed


def _toml_value(text: str) -> Any:
    try:
        return tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        return text


def _put(values: dict[str, Any], setting: _Setting) -> None:
    place: Any = values
    for depth, part in enumerate(setting.path[:-1]):
        if isinstance(place, list) and isinstance(part, int) and part < len(place):
            place = place[part]
        elif isinstance(place, dict) and isinstance(part, str):
            place = place.setdefault(part, {})
        else:
            raise UsageError(f"{setting.origin} — there is no {dotted(setting.path[: depth + 1])}")
    last = setting.path[-1]
    if not isinstance(place, dict) or not isinstance(last, str):
        raise UsageError(f"{setting.origin} — {dotted(setting.path[:-1]) or 'the profile'} holds no keys")
    place[last] = setting.value


def _validate(values: dict[str, Any], path: Path, text: str, origins: Mapping[str, str]) -> Profile:
    try:
        profile = Profile.model_validate(values)
        problems = contradictions(profile)
    except ValidationError as error:
        problems = [problem for problem in map(from_pydantic, error.errors()) if problem is not None]
    if problems:
        lines = [f"{_place(problem, path, text, origins)} {problem}" for problem in problems]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise ProfileError(
            f"profile {path.stem} has {count}", lines, hint=f"feda2v profiles check {path} after mending it"
        )
    return profile


def _place(problem: Problem, path: Path, text: str, origins: Mapping[str, str]) -> str:
    for length in range(len(problem.path), 0, -1):
        origin = origins.get(dotted(problem.path[:length]))
        if origin is not None and not origin.startswith(f"{path}:"):
            return f"{origin}:"
    line, column = position(text, problem.path)
    return f"{path}:{line}:{column}"


def _leaves(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))]
    return [path]
