"""From a file, the environment and the command line to one profile, with the origin of every value; and back."""

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import tomli
import tomlkit
from pydantic import ValidationError
from tomlkit.items import Table

from feda2v_cli.counted import counted
from feda2v_cli.errors import ProfileError, UsageError, closest
from feda2v_cli.paths import is_directory, is_there
from feda2v_cli.profile.contradictions import contradictions
from feda2v_cli.profile.key_path import KeyPath, Position, dotted, position, positions
from feda2v_cli.profile.override import ENVIRONMENT_PREFIX, from_environment, from_flags, from_settings, put
from feda2v_cli.profile.problem import Problem, from_pydantic
from feda2v_cli.profile.schema import Profile

#: In a wheel they lie inside the package, in a checkout at the top of the repository.
_PACKAGE = Path(__file__).parents[1]
SHIPPED_DIR = next(path for path in (_PACKAGE / "profiles", _PACKAGE.parent / "profiles") if path.is_dir())
#: Keys that change where a run is recorded or how fast it is, and not what comes out.
_NO_PART_OF_THE_RESULT: Any = {
    "experiment": {"name", "memory", "runs"},
    "embedding": {"cache"},
    "federation": {"deadline"},
    "flower": True,
    "tracking": True,
    "images": True,  # pictures show what a run has learned, and change nothing of it
}


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

    @property
    def argument(self) -> str:
        """What a command takes to mean this profile."""
        return self.name if self.path.parent == SHIPPED_DIR else str(self.path)

    def origin(self, key: str) -> str:
        """Where the value of a dotted key came from: its own origin, or that of the table that was set with it."""
        while key:
            if key in self.origins:
                return self.origins[key]
            key = key.rpartition(".")[0]
        return "default"

    def with_values(self, profile: Profile, origin: str) -> Self:
        """The same with other values, of which those that differ come from `origin`."""
        own, other = (one.model_dump(mode="json") for one in (self.profile, profile))
        keys = ["nodes"] if own.pop("nodes") != other.pop("nodes") else []
        keys += [f"{name}.{key}" for name, keys in other.items() for key in keys if keys[key] != own[name][key]]
        kept = {key: told for key, told in self.origins.items() if not key.startswith(tuple(f"{one}." for one in keys))}
        return replace(self, profile=profile, origins=kept | dict.fromkeys(keys, origin))

    def is_set_outside(self, key: str) -> bool:
        """Whether a dotted key got its value from an option or the environment, and not from the file."""
        return self.origin(key).startswith(("--", f"environment {ENVIRONMENT_PREFIX}"))


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


def shipped_profiles() -> dict[str, Path]:
    """Name and path of every shipped profile, by name."""
    return {path.stem: path for path in sorted(SHIPPED_DIR.glob("*.toml"))}


def find_profile(name_or_path: str) -> Path:
    """The file that a name or a path means; a path wins.

    Raises:
        UsageError: there is no such profile.
        FailedError: the system does not say whether there is such a file.
    """
    path = Path(name_or_path)
    if is_there(path) and not is_directory(path):
        return path
    shipped = shipped_profiles()
    if name_or_path in shipped:
        return shipped[name_or_path]
    near = closest(name_or_path, shipped)
    raise UsageError(
        f"no profile {name_or_path}: neither a file nor a shipped profile",
        [f"shipped: {', '.join(shipped)}"] + ([f"did you mean {near}?"] if near else []),
        hint="feda2v profiles ls",
    )


def summary(path: Path) -> str:
    """The first comment line of a profile: what it does."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def profile_hash(profile: Profile) -> str:
    """A hash of all values of a profile on which its results depend."""
    values = profile.model_dump(mode="json", exclude=_NO_PART_OF_THE_RESULT)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def resolved_toml(loaded: LoadedProfile) -> str:
    """Every effective value of a profile; a comment on each says where it came from.

    The text is a valid profile itself. A key without value (like an unset `data.root`) stands as a comment.
    """
    document = tomlkit.document()
    values = loaded.profile.model_dump(mode="json")
    nodes = values.pop("nodes")
    for section, keys in values.items():
        document[section] = _table(section, keys, loaded)
    array = tomlkit.aot()
    for index, node in enumerate(nodes):
        present = {key: value for key, value in node.items() if value is not None}
        array.append(_table(f"nodes.{index}", present, loaded))
    document["nodes"] = array
    return tomlkit.dumps(document)


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
        in_file = any(line.startswith(f"{source.given}:") for line in lines)
        given = shlex.quote(source.given)
        raise ProfileError(
            f"profile {source.given} has {counted(len(lines), 'problem')}",
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


def _table(place: str, keys: dict[str, Any], loaded: LoadedProfile) -> Table:
    table = tomlkit.table()
    for key, value in keys.items():
        origin = loaded.origin(f"{place}.{key}")
        if value is None:
            table.add(tomlkit.comment(f"{key} is not set"))
        elif isinstance(value, dict):
            table[key] = _table(f"{place}.{key}", value, loaded)
        else:
            table.add(key, tomlkit.item(value).comment(origin))
    return table
