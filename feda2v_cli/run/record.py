"""A run as it lies on disk, whoever wrote it and however it ended."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import is_directory, is_file
from feda2v_cli.run.directory import LOCK

#: `killed` is a run that says running, and nobody runs it; `damaged` one that does not say what it is.
State = Literal["running", "done", "interrupted", "failed", "killed", "damaged"]
#: Runs within a run, like those of a comparison, have their directories here.
INNER_RUNS = "runs"


@dataclass(frozen=True)
class RunRecord:
    """What a run directory says of itself. Every field that is not there, or is no such thing, has a value for it.

    Attributes:
        path: the directory.
        info: content of `run.json`; empty when it is damaged.
        state: how far the run is.
    """

    path: Path
    info: Mapping[str, Any]
    state: State

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record of a directory.

        Raises:
            MissingError: it is not there, or is no run directory.
            FailedError: it cannot be looked at.
        """
        if not is_file(path / "run.json"):
            what = "is no run: it holds no run.json" if is_directory(path) else "is not there"
            raise MissingError(f"{path} {what}", hint="feda2v runs ls")
        info = _object_in(path / "run.json")
        if info is None:
            return cls(path, {}, "damaged")
        state: Any = info.get("status")
        if state == "running" and not _is_locked(path):
            state = "killed"
        return cls(path, info, state if state in get_args(State) else "damaged")

    @property
    def name(self) -> str:
        """Name of the directory."""
        return self.path.resolve().name

    @property
    def title(self) -> str:
        """What it was called, which another run may be called too."""
        return str(self.info.get("name") or self.name)

    @property
    def kind(self) -> str:
        """What was run, like `federate`."""
        return str(self.info.get("kind") or next(iter(self.command[1:]), "run"))

    @property
    def command(self) -> tuple[str, ...]:
        """Words of the command line."""
        words = self.info.get("command")
        return tuple(map(str, words)) if isinstance(words, list) else ()

    @property
    def command_line(self) -> str:
        """The same as it is typed."""
        return shlex.join(self.command)

    @property
    def started(self) -> datetime | None:
        """When it was started."""
        return _time(self.info.get("started"))

    @property
    def ended(self) -> datetime | None:
        """When it ended."""
        return _time(self.info.get("ended"))

    @property
    def seconds(self) -> float | None:
        """That it took: as the result says, which leaves out what lay between an interruption and the end."""
        told = self.summary.get("seconds")
        if isinstance(told, int | float):
            return float(told)
        return (self.ended - self.started).total_seconds() if self.ended and self.started else None

    @property
    def peak_memory_bytes(self) -> int | None:
        """Most that its process held at once."""
        told = self.info.get("peak_memory_bytes", self.summary.get("peak_memory_bytes"))
        return told if isinstance(told, int) else None

    @property
    def error(self) -> Mapping[str, Any] | None:
        """What went wrong: `code`, `message` and `hint`."""
        told = self.info.get("error")
        return told if isinstance(told, dict) else None

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """The result; empty for a run that has none."""
        return _object_in(self.path / "summary.json") or {}

    @property
    def inner(self) -> "list[RunRecord]":
        """Runs that this one has made, in order."""
        return runs_in(self.path / INNER_RUNS)

    def size_bytes(self) -> int:
        """Of all files in the directory."""
        return sum(_sizes(self.path))


def runs_in(directory: Path) -> list[RunRecord]:
    """All runs of a directory, the oldest first; what else lies there is passed over."""
    records = [RunRecord.read(path.parent) for path in directory.glob("*/run.json") if is_file(path)]
    return sorted(records, key=lambda record: (record.started or datetime.min.replace(tzinfo=UTC), record.name))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say what cannot be read, in the words of the system.

    Raises:
        FailedError: the block failed to read.
    """
    try:
        yield
    except OSError as error:
        raise FailedError(f"{path} cannot be read — {error.strerror or error}", hint=f"ls -ld {path}") from error


def _object_in(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None when there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _is_locked(path: Path) -> bool:
    """Whether a process runs the run of a directory, or nobody can tell."""
    from filelock import FileLock, Timeout  # only for the few runs that say that they are running

    lock = path / LOCK
    if not is_file(lock):
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _sizes(directory: Path) -> Iterator[int]:
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                yield os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # gone meanwhile: the run is going on
