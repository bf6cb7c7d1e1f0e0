"""Parts for workers of a comparison: processes import them by name."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from feda2v_cli.run.event import EpochEnded, Listener, Noted
from feda2v_cli.verifier.finding import Finding, FindingsError


def tell(name: str, seconds: float, listener: Listener) -> tuple[str, int]:
    """Two notes with progress between them; its name and process."""
    listener(Noted(f"{name} begins"))
    listener(EpochEnded(1, 1, 1, 2))
    time.sleep(seconds)
    listener(Noted(f"{name} ends"))
    return name, os.getpid()


def note_time(directory: Path, name: str, listener: Listener) -> None:  # noqa: ARG001
    begun = time.monotonic()
    time.sleep(0.2)
    (directory / name).write_text(f"{begun} {time.monotonic()}")


def refuse(listener: Listener) -> None:
    listener(Noted("about to refuse"))
    raise FindingsError([Finding("FA009", "x.pt", "is damaged", hint="feda2v train-generators")])


def forget(listener: Listener) -> Any:  # noqa: ARG001
    return {}["nothing"]


def be_killed(listener: Listener) -> None:  # noqa: ARG001
    os.kill(os.getpid(), signal.SIGKILL)


def linger(directory: Path, listener: Listener) -> None:  # noqa: ARG001
    (directory / "pid").write_text(str(os.getpid()))
    time.sleep(600)


def refuse_beside(directory: Path, listener: Listener) -> None:
    """Refuse once the lingering part is there."""
    while not (directory / "pid").exists() or not (directory / "pid").read_text():
        time.sleep(0.01)
    refuse(listener)
