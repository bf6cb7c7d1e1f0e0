"""A profile in the making: its values so far, where each came from, and what has to be told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from feda2v_cli.legacy.config.legacy_key import Stage
from feda2v_cli.legacy.config.read import LegacyFile
from feda2v_cli.profile.allowed_values import closest_value
from feda2v_cli.profile.key_path import KeyPath, position
from feda2v_cli.profile.problem import NO_VALUE, Problem
from feda2v_cli.profile.schema import Profile


class Purpose(Enum):
    """What a configuration of the earlier system runs, and with it a profile."""

    TRAIN = "RUN 1"
    FEDERATE = "RUN 2"
    BOTH = "RUN 1 and RUN 2"


@dataclass(frozen=True)
class Dropped:
    """A key that a profile has no place for.

    Attributes:
        path: the key in the earlier system's file.
        value: its value.
        reason: why nothing of it is left.
    """

    path: KeyPath
    value: Any
    reason: str


@dataclass(frozen=True)
class Silent:
    """A key of the earlier system that the file does not hold.

    Attributes:
        key: dotted.
        earlier: what it was by default.
        target: the key of the profile.
    """

    key: str
    earlier: Any
    target: KeyPath


@dataclass
class Draft:
    """What conversion writes into.

    Attributes:
        file: what is converted.
        strict: whether what is doubtful is a problem instead of a warning.
        purpose: what the configuration runs.
        values: the profile's values by key path.
        sources: for every one of them, the keys that it was made of.
        dropped: keys of the file that the profile has no place for.
        off: parts of a run that the file switches off, each with the reason why their keys count for nothing.
        silent: keys of the earlier system that the file leaves open, and whose earlier default is written.
        warnings: what changes the result of a run, each with its key in the file.
        notes: what changes nothing, each with its key in the file.
        problems: what stops the conversion, each with its key in the file.
        remarks: lines that become comments, each with a key of the file before which it stood.
        intro: lines that become comments at the top.
    """

    file: LegacyFile
    strict: bool = False
    purpose: Purpose = Purpose.BOTH
    values: dict[KeyPath, Any] = field(default_factory=dict)
    sources: dict[KeyPath, list[KeyPath]] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    off: dict[Stage, str] = field(default_factory=dict)
    silent: list[Silent] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[tuple[KeyPath, str]] = field(default_factory=list)
    intro: list[str] = field(default_factory=list)

    def section(self, name: str) -> Mapping[str, Any]:
        """The keys of a section of the file; none when there is no such section."""
        section = self.file.values.get(name)
        return section if isinstance(section, dict) else {}

    def get(self, section: str, key: str) -> Any:
        """The value of a key of the file; None when it is not there."""
        return self.section(section).get(key)

    def is_on(self, section: str, key: str) -> bool:
        """Whether a switch of the file is true; what is no switch is not."""
        return str(self.get(section, key)).lower() == "true"

    def flag(self, section: str, key: str) -> bool | None:
        """A switch of the file; None when it is not there or is no switch, which is a problem."""
        value = self.get(section, key)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if value is not None and not isinstance(value, bool):
            self.problem((section, key), "expected true or false")
            return None
        return value

    def set(self, target: KeyPath, value: Any, *sources: KeyPath) -> None:
        """Give a key of the profile its value.

        Args:
            target: the key of the profile.
            value: its value; text that stands for a number or a switch becomes one, with a note.
            sources: the keys of the file that it was made of.
        """
        number = closest_value(target, value) if isinstance(value, str) else None
        if isinstance(number, int | float) and sources:
            self.note(sources[0], f"text, read as {str(number).lower()}")
            value = number
        if isinstance(value, float) and value.is_integer() and isinstance(self.default(target), int):
            value = int(value)
        self.values[target] = value
        self.sources[target] = list(sources)

    def targets(self, source: KeyPath) -> Iterator[KeyPath]:
        """The keys of the profile that a key of the file went into."""
        return (target for target, sources in self.sources.items() if source in sources)

    def default(self, target: KeyPath) -> Any:
        """What a key of the profile is when nothing is written."""
        section = Profile.model_fields[str(target[0])].default
        return getattr(section, str(target[1]), None) if len(target) == 2 else None

    def drop(self, path: KeyPath, reason: str) -> None:
        """Leave a key of the file out of the profile."""
        self.dropped.append(Dropped(path, self.value(path), reason))

    def warn(self, path: KeyPath, text: str) -> None:
        """Tell that a run's result is another than the value says, or than it was."""
        self.warnings.append(self._noted(path, text))

    def note(self, path: KeyPath, text: str) -> None:
        """Tell something about the value of a key of the file that changes no result."""
        self.notes.append(self._noted(path, text))

    def fill_in(self, key: str, earlier: Any, target: KeyPath) -> None:
        """Give a key of the profile the default of the earlier system, where the file leaves it open.

        Args:
            key: of the earlier system, dotted.
            earlier: its default.
            target: the key of the profile.
        """
        self.set(target, earlier)
        self.silent.append(Silent(key, earlier, target))

    def doubt(self, path: KeyPath, text: str) -> None:
        """Tell something that is a warning, and a problem to who wants to be strict."""
        if self.strict:
            self.problem(path, text)
        else:
            self.warn(path, text)

    def problem(self, path: KeyPath, expected: str) -> None:
        """Note what stops the conversion."""
        self.problems.append(self._noted(path, expected))

    def _noted(self, path: KeyPath, text: str) -> Problem:
        value = self.value(path)
        return Problem(path, NO_VALUE if value is None or isinstance(value, dict) else value, text)

    def value(self, path: KeyPath) -> Any:
        """What stands at a key path of the file; None when nothing does."""
        value: Any = self.file.values
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def where(self, path: KeyPath) -> str:
        """File, line and column of a key of the file."""
        line, column = position(self.file.places, path)
        return f"{self.file.source}:{line}:{column}"


def listed(names: Iterable[Any]) -> str:
    """Names with commas between them."""
    return ", ".join(str(name) for name in names)
