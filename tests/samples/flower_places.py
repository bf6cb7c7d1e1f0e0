"""A real server and real nodes, each a process as users start them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
SECONDS = 240.0

PROFILE = """
[generator]
type = "gaussian"
granularity = "unified"
[checkpoint]
every = 0
dir = "generators"
[synthetic]
per_class = 4
[federation]
rounds = 2
local_epochs = 1
evaluate_every = 1
[[nodes]]
id = 0
classes = ["dog", "cow"]
[[nodes]]
id = 1
classes = ["rain", "sea_waves", "siren"]
"""


@dataclass
class Place:
    """Where a federation's files are, and its processes.

    Attributes:
        path: the working directory.
        port: of the server.
        processes: that run, by name.
    """

    path: Path
    port: int
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command in the background."""
        with (self.path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [FEDA2V, "flower", *arguments], cwd=self.path, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.processes[name] = process
        return process

    def start_server(self, keys: str = "keys") -> None:
        self.start("server", "server", "--keys", keys, "--port", str(self.port), "--bind", "127.0.0.1")

    def start_node(self, node: int, *options: str, keys: str = "keys", profile: str = "node.toml") -> None:
        words = ["node", "-p", profile, "--id", str(node), "--server", self.address, "--keys", keys, *options]
        self.start(f"node{node}", *words)

    def log(self, name: str) -> str:
        return (self.path / f"{name}.log").read_text()

    def wait_for(self, name: str, text: str) -> None:
        wait_until(lambda: text in self.log(name) or self.processes[name].poll() is not None)
        assert text in self.log(name), self.log(name)

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(30)

    def stop_all(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        self.processes.clear()


def wait_until(is_so: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def run(place: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [FEDA2V, *arguments],
        cwd=place,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )
