"""Starts Flower's processes, each with its log in a file, and ends them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket

from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.flower.guarded import GRACE_SECONDS

#: Lines of a log that an error shows.
_SHOWN_LINES = 6


def require_flower() -> None:
    """Fail when Flower is not installed, before anything is done.

    Raises:
        MissingError: it is not.
    """
    if find_spec("flwr") is None:
        raise MissingError(
            "Flower is not installed, and several machines are reached through it", hint="pip install 'feda2v[flower]'"
        )


def flower_environment(home: Path) -> dict[str, str]:
    """The environment of a process of Flower: it tells nobody, asks nobody, and keeps its files in one place.

    Args:
        home: Flower's own directory.
    """
    return {
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONUNBUFFERED": "1",
    }


class Process:
    """A process that ends with this one.

    Args:
        title: what errors call it.
        module: of this package, run with `python -m`.
        arguments: of the module.
        log: where its output goes.
        environment: beside that of this process.
    """

    def __init__(
        self, title: str, module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.title = title
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # It ends when its stdin is closed: this process holds the other end, and the kernel closes it if need be.
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            FailedError: it has ended.
        """
        if self.has_ended:
            raise FailedError(
                f"{self.title} ended with exit code {self._process.returncode}",
                last_lines(self.log),
                hint=f"cat {self.log}",
            )

    def ask_to_end(self) -> None:
        """Ask it to end; `end` waits for it."""
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with suppress(ProcessLookupError):
            self._process.terminate()

    def end(self) -> None:
        """End it, and wait until it has."""
        self.ask_to_end()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def end_all(processes: Sequence[Process]) -> None:
    """End processes, all of them at once."""
    for process in processes:
        process.ask_to_end()
    for process in processes:
        process.end()


def last_lines(log: Path) -> list[str]:
    """The end of a log, without what colours it."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    lines = [line for line in text.replace("\x1b[", "\x1b").splitlines() if line.strip()]
    return [line.replace("\x1b", "").strip() for line in lines[-_SHOWN_LINES:]]


def free_port() -> int:
    """A port of the loopback that nobody uses."""
    with socket(AF_INET, SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(title: str, seconds: float, is_so: Callable[[], bool], check: Callable[[], None]) -> None:
    """Wait until something is so.

    Args:
        title: what is waited for, for the error.
        seconds: that are waited at most.
        is_so: asked again and again.
        check: raises when it is no use to wait on.

    Raises:
        FailedError: it took too long.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        check()
        if time.monotonic() > deadline:
            raise FailedError(f"{title}: not there after {seconds:.0f} s")
        time.sleep(0.1)
