"""From a file, the environment and the command line to one profile, with the origin of every value."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli
from pydantic import ValidationError

from feda2v_cli.errors import ProfileError, UsageError
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.key_path import KeyPath, dotted
from feda2v_cli.profile.override import from_environment, from_flags, from_settings, put
from feda2v_cli.profile.position import Position, position, positions
from feda2v_cli.profile.problem import Problem, from_pydantic
from feda2v_cli.profile.schema import Profile
from feda2v_cli.profile.shipped import find_profile


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

    def origin(self, key: str) -> str:
        """Where the value of a dotted key came from: its own origin, or that of the table that was set with it."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key.rpartition(".")[0]
        return "default"


@dataclass(frozen=True)
class _Source:
    """The file of a profile: its name as the user gave it, and where everything in it stands."""

    given: str
    places: Mapping[KeyPath, Position]
    overrides: dict[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """File, line and column of a key, or the override that set it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overrides:
                return f"{self.overrides[path[:length]]}:"
        line, column = position(self.places, path)
        return f"{self.given}:{line}:{column}"


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
    values = _parse(text, name_or_path)
    source = _Source(name_or_path, positions(text))
    origins = {dotted(leaf): f"{name_or_path}:{position(source.places, leaf)[0]}" for leaf in _leaves(values)}
    for override in (
        *from_environment(os.environ if environment is None else environment),
        *from_settings(settings),
        *from_flags(flags or {}),
    ):
        put(values, override)
        key = dotted(override.path)
        origins = {name: origin for name, origin in origins.items() if not name.startswith(f"{key}.")}
        origins[key] = override.origin
        source.overrides[override.path] = override.origin
    return LoadedProfile(_validate(values, source), path.stem, path, text, origins)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProfileError(
            f"{path} is not UTF-8 text — byte {error.start} cannot be read", hint=f"save {path} as UTF-8"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read — {error.strerror}") from error


def _parse(text: str, given: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ProfileError(
            f"{given}:{error.lineno}:{error.colno} is not valid TOML — {error.msg}",
            hint="feda2v profiles show unified prints a valid profile",
        ) from error
    except RecursionError as error:
        raise ProfileError(f"{given} is nested too deeply — expected tables of keys") from error


def _validate(values: dict[str, Any], source: _Source) -> Profile:
    try:
        profile = Profile.model_validate(values)
        problems = contradictions(profile)
    except ValidationError as error:
        problems = [problem for problem in map(from_pydantic, error.errors()) if problem is not None]
    if problems:
        lines = _lines(problems, source)
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        in_file = any(line.startswith(f"{source.given}:") for line in lines)
        given = shlex.quote(source.given)
        raise ProfileError(
            f"profile {source.given} has {count}",
            lines,
            hint=f"feda2v profiles check {given} after mending it" if in_file else f"feda2v profiles show {given}",
        )
    return profile


def _lines(problems: Sequence[Problem], source: _Source) -> list[str]:
    in_order = sorted(problems, key=lambda problem: position(source.places, problem.path))
    lines = (f"{source.where(problem.path)} {problem}" for problem in in_order)
    return list(dict.fromkeys(lines))  # every alternative of a value's type complains in the same words


def _leaves(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))]
    return [path]
