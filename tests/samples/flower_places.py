"""A real server and real nodes, each a process as users start them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from patience import SECONDS

from feda2v_cli.job.federate.run import Federated, federate
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Listener, ignore_event

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
#: More than are waited for: the command is ended when the test has seen enough.
ROUNDS = ("--rounds", "500", "--set", "federation.evaluate_every=500")

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

    def start(self, name: str, *words: str, stdin: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        """Start a command in the background."""
        with (self.path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(words, cwd=self.path, stdout=log, stderr=log, stdin=stdin)
        self.processes[name] = process
        return process

    def start_server(self) -> None:
        self.start("server", FEDA2V, "flower", "server", "--keys", "keys", "--port", str(self.port),
                   "--bind", "127.0.0.1")  # fmt: skip

    def node_words(self, node: int, keys: str = "keys") -> list[str]:
        """The command of a node."""
        return [FEDA2V, "flower", "node", "-p", "node.toml", "--id", str(node), "--server", self.address,
                "--keys", keys]  # fmt: skip

    def start_node(self, node: int) -> None:
        self.start(f"node{node}", *self.node_words(node))

    def federate_words(self, adapters: str, *options: str) -> list[str]:
        """The command that directs the federation."""
        return [FEDA2V, "federate", "-p", "node.toml", "--engine", "flower", "--server", self.address,
                "--keys", "keys", "--checkpoint-dir", adapters, *options]  # fmt: skip

    @contextmanager
    def federating(self, adapters: str, *options: str) -> Iterator["Background"]:
        """The command that directs the federation, while it runs."""
        log, runs = self.path / f"{adapters}.log", self.path / f"{adapters}_runs"
        words = [*self.federate_words(adapters, *options), "--set", f"experiment.runs='{runs}'"]
        with log.open("ab") as output:
            process = subprocess.Popen(words, cwd=self.path, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            yield Background(process, log, runs)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)

    def federate(self, adapters: str, *settings: str, engine: str = "flower", listener: Listener = ignore_event,
                 server: str | None = None, keys: str = "keys") -> Federated:  # fmt: skip
        """Direct the federation from this process; the working directory has to be `path`."""
        given = [f"federation.engine={engine}", f"checkpoint.adapter_dir={adapters}"]
        if engine == "flower":
            given += [f"flower.server='{server or self.address}'", f"flower.keys='{keys}'", "federation.deadline=200.0"]
        return federate(load_profile("node.toml", settings=[*given, *settings]), force=True, listener=listener)

    def children(self, name: str) -> list[int]:
        """The ids of the processes that a command has started."""
        parent = self.processes[name].pid
        return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

    def log(self, name: str) -> str:
        return (self.path / f"{name}.log").read_text()

    def wait_for(self, name: str, text: str) -> None:
        wait_until(lambda: text in self.log(name) or self.processes[name].poll() is not None, logs=self.path)
        assert text in self.log(name), self.log(name)

    @contextmanager
    def server_says(self, text: str) -> Iterator[None]:
        """Wait at the end until the server has said it once more."""
        before = self.log("server").count(text)
        yield
        wait_until(lambda: self.log("server").count(text) > before, logs=self.path)

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        process.communicate(timeout=SECONDS)

    def stop_all(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.communicate(timeout=SECONDS)
        self.processes.clear()


@dataclass(frozen=True)
class Background:
    """A command that directs a federation.

    Attributes:
        process: it.
        log: what it says.
        runs: the directory of its run.
    """

    process: "subprocess.Popen[bytes]"
    log: Path
    runs: Path

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, or the command has ended."""
        wait_until(lambda: is_so() or self.process.poll() is not None, logs=self.log.parent)
        assert is_so(), self.log.read_text()

    def wait_for_text(self, text: str) -> None:
        """Wait until the command has said something."""
        self.wait_for(lambda: text in self.log.read_text())

    def present(self) -> list[list[int]]:
        """The nodes that were there in each round so far."""
        lines = [line for path in self.runs.glob("*/metrics.jsonl") for line in path.read_text().splitlines(True)]
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return [event["present"] for event in events if event["event"] == "federation_round_ended"]

    def has_someone_back(self) -> bool:
        """Whether node 1 was away in a round, and both were there in a later one."""
        present = self.present()
        return [0] in present and [0, 1] in present[present.index([0]) :]

    def end(self) -> None:
        """Wait until it has ended, well."""
        assert self.process.wait(SECONDS) == 0, self.log.read_text()


def wait_until(is_so: Callable[[], bool], seconds: float = SECONDS, *, logs: Path | None = None) -> None:
    """Wait, and if it is in vain say how all logs of a place end."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, _ends_of(logs)
        time.sleep(0.1)


def _ends_of(directory: Path | None) -> str:
    paths = [] if directory is None else [*directory.glob("*.log"), *directory.glob("runs/*/flower/*.log")]
    newest = sorted(paths, key=lambda path: path.stat().st_mtime)[-8:]
    return "\n".join(f"=== {path}\n{path.read_text(errors='replace')[-1500:]}" for path in newest)


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
