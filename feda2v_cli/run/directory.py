"""The run directory: what was run, what happened, and what it takes to go on."""

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TextIO

import tomli

from feda2v_cli import __version__
from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError, Feda2vError, RunInterrupted
from feda2v_cli.run.event import ClipsEmbedded, EpochEnded, Event, Listener, Noted, Warned
from feda2v_cli.run.json_text import json_text
from feda2v_cli.run.machine import machine, peak_memory_bytes

#: Held by the process that runs, and freed by the operating system however that process ends.
LOCK = ".lock"


class RunDirectory:
    """A run's directory, readable with `jq`.

    run.json       status, command line and where it was typed, versions, commit, machine; at the end memory, and what
                   went wrong
    profile.toml   the profile as it was given
    resolved.toml  every value, with its origin
    metrics.jsonl  one event a line
    summary.json   the result
    log.txt        notes and warnings
    resume/        what it takes to go on

    Args:
        path: the directory, which is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls,
        runs: Path,
        name: str,
        *,
        command: Sequence[str],
        profile: str,
        resolved: str,
        key: str | None = None,
        kind: str | None = None,
        device: str | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Self:
        """A new directory `<UTC time>-<name>`.

        Args:
            runs: the directory of all runs.
            name: tells runs apart for a reader.
            command: words of the command line.
            profile: text of the profile.
            resolved: the same with every value.
            key: what a run must share with this one to go on with it; None when nothing can.
            kind: what is run, like `federate`; None when the command line tells.
            device: name of the device that computes.
            inputs: what it works on beside the profile, in plain values.

        Raises:
            FailedError: it cannot be written.
        """
        with _writing(runs):
            started = datetime.now(UTC)
            stem, number = f"{started:%Y%m%dT%H%M%SZ}-{name}", 1
            while True:
                run = cls(runs / (stem if number == 1 else f"{stem}-{number}"))
                try:
                    run.path.mkdir(parents=True)
                    break
                except FileExistsError:
                    number += 1
            (run.path / "resume").mkdir()
            (run.path / "profile.toml").write_text(profile, encoding="utf-8")
            # Its comments name the profile's file, whose name may be no UTF-8.
            (run.path / "resolved.toml").write_text(resolved, encoding="utf-8", errors="backslashreplace")
            run._write_json(
                "run.json",
                {
                    "status": "running",
                    "started": started.isoformat(),
                    "name": name,
                    "kind": kind or next(iter(command[1:]), None),
                    "command": list(command),
                    "directory": str(Path.cwd()),
                    "key": key,
                    "inputs": dict(inputs or {}),
                }
                | _provenance()
                | {"machine": machine() | {"device": device}},
            )
        return run

    @classmethod
    def latest(cls, runs: Path, key: str) -> Self | None:
        """The newest run with this key; None when there is none."""
        for path in sorted(runs.glob("*/run.json"), reverse=True):
            try:
                if json.loads(path.read_text(encoding="utf-8"))["key"] == key:
                    return cls(path.parent)
            except (OSError, ValueError, KeyError):
                continue  # another program's directory, or one that was cut off before it said what it is
        return None

    @property
    def status(self) -> str:
        """running, done, interrupted or failed. A run that was killed still says running."""
        return str(self._read_json("run.json")["status"])

    @property
    def inputs(self) -> dict[str, Any]:
        """What it works on beside the profile, as far as it says."""
        return dict(self._read_json("run.json").get("inputs", {}))

    @property
    def resume(self) -> Path:
        """Where what it takes to go on is kept."""
        return self.path / "resume"

    def record(self, event: Event) -> None:
        """Keep an event; passing progress is not kept.

        Raises:
            FailedError: it cannot be written.
        """
        if isinstance(event, EpochEnded | ClipsEmbedded):
            return
        line = {"time": datetime.now(UTC).isoformat(), "event": event.kind} | event.fields()
        with _writing(self.path), (self.path / "metrics.jsonl").open("a", encoding="utf-8") as metrics:
            metrics.write(json_text(line) + "\n")
        if isinstance(event, Noted | Warned):
            with _writing(self.path), self._log() as log:
                log.write(f"{line['time']} {event.kind} {event.text}\n")

    @contextmanager
    def recording(self, command: Sequence[str], listener: Listener) -> Iterator[Listener]:
        """Keep what happens within, tell it to the listener too, and when it does not end well say how it ended.

        While it lasts, the directory is locked: a run that says running and holds no lock was killed.

        Args:
            command: words of the command line after `feda2v`, for the hint how to go on.
            listener: is told what happens.

        Raises:
            RunInterrupted: in the place of KeyboardInterrupt.
            FailedError: something cannot be written.
        """

        def emit(event: Event) -> None:
            self.record(event)
            listener(event)

        with self._locked():
            try:
                yield emit
            except (KeyboardInterrupt, RunInterrupted) as stopped:
                self.finish("interrupted")
                if isinstance(stopped, RunInterrupted):
                    raise  # by a run within this one, which has said how to go on
                raise self._interrupted(command) from None
            except BaseException as error:
                with suppress(Feda2vError):  # what went wrong first is what the user has to know
                    self.record(Warned(f"failed: {error}"))
                    self.finish("failed", error=error)
                raise

    def finish(self, status: str, summary: Mapping[str, Any] | None = None, error: BaseException | None = None) -> None:
        """Say how the run ended, and keep its result.

        Args:
            status: done, interrupted or failed.
            summary: the result.
            error: what went wrong.

        Raises:
            FailedError: it cannot be written.
        """
        with _writing(self.path):
            if summary is not None:
                self._write_json("summary.json", summary)
            ended = {"status": status, "ended": datetime.now(UTC).isoformat(), "peak_memory_bytes": peak_memory_bytes()}
            self._write_json("run.json", self._read_json("run.json") | ended | {"error": error and _told(error)})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock  # those who only read runs that have ended need none

        with _writing(self.path):
            lock = FileLock(self.path / LOCK)
            lock.acquire()
        try:
            yield
        finally:
            # Removed while it is held, so that nobody else takes it for that of a run that was killed.
            with suppress(OSError):
                (self.path / LOCK).unlink()
            lock.release()

    def _interrupted(self, command: Sequence[str]) -> RunInterrupted:
        if self._read_json("run.json").get("key") is None:
            return RunInterrupted("interrupted", [f"run {self.path}"], hint=shlex.join(["feda2v", *command]))
        words = [word for word in ("feda2v", *command) if word not in ("--resume", "--force")]
        return RunInterrupted(
            "interrupted — what was done is kept", [f"run {self.path}"], hint=f"{shlex.join(words)} --resume"
        )

    def summary(self) -> dict[str, Any]:
        """The result of a run that is done."""
        return self._read_json("summary.json")

    def _log(self) -> TextIO:
        return (self.path / "log.txt").open("a", encoding="utf-8", errors="backslashreplace")

    def _read_json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return content

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        with atomic_write(self.path / name) as file:
            file.write(json_text(content, indent=2).encode() + b"\n")


def _told(error: BaseException) -> dict[str, str | None]:
    """An error as JSON has it."""
    if isinstance(error, Feda2vError):
        return {"code": error.code, "message": str(error), "hint": error.hint}
    return {"code": "bug", "message": f"{type(error).__name__}: {error}", "hint": None}


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FailedError(
            f"the run directory {path} cannot be written — {os.strerror(error.errno or 0)}",
            hint="write it elsewhere: --set experiment.runs=DIR",
        ) from error


def _provenance() -> dict[str, Any]:
    """Versions of this package and of what it computes with, and the commit when it runs from a checkout."""
    return {
        "versions": {
            "feda2v": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "torchaudio", "soundfile", "soxr", "numpy")},
        },
        "platform": platform.platform(),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """The commit of this package's own repository; None when it was installed elsewhere, or there is no git."""
    root = Path(__file__).resolve().parents[2]
    try:
        project = tomli.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--show-toplevel", "--verify", "HEAD"],
            # A hook's GIT_DIR is that of the user's repository.
            env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None
    top, commit = answer.stdout.rstrip("\n").rsplit("\n", 1)
    return commit if project == "feda2v" and Path(top).resolve() == root else None
