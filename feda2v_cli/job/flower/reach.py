"""Reaches the nodes of a federation over Flower: those of other machines, or processes that are started here."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from feda2v_cli.errors import UsageError
from feda2v_cli.federation.setup import Setup
from feda2v_cli.flower.engine import FlowerEngine
from feda2v_cli.flower.keys import Keys, make_keys
from feda2v_cli.flower.link import Link
from feda2v_cli.flower.process import Process, end_all, flower_environment, free_port
from feda2v_cli.flower.superlink import start_superlink
from feda2v_cli.job.federate.plan import FederationPlan
from feda2v_cli.job.flower.join import join, wait_for_nodes
from feda2v_cli.paths import expanded
from feda2v_cli.profile.load import LoadedProfile, resolved_toml
from feda2v_cli.run.event import Listener, Noted

#: Files of a run that are gone when it has ended; what a command leaves that was killed, the next one removes.
_SECRETS, _PROCESSES, _STATE = "keys", "processes.json", "state.db"


@contextmanager
def reach_nodes(
    plan: FederationPlan, loaded: LoadedProfile, run: Path, emit: Listener
) -> Iterator[tuple[FederationPlan, Setup, FlowerEngine]]:
    """A federation whose nodes are somewhere else; all that was started here has ended when it is left.

    Args:
        plan: what is going to be done, without clips and generators.
        loaded: the profile.
        run: directory of the run.
        emit: is told what happens.

    Raises:
        FailedError: the server or a node is not there, does not agree, or sends what is not sound.
        MissingError: Flower or a key is not there.
        UsageError: a server is named, and no keys.
    """
    directory = run / "flower"
    directory.mkdir(exist_ok=True)
    os.environ.update(flower_environment(directory / "home"))
    section = plan.profile.flower
    ids = sorted(node.id for node in plan.profile.nodes)
    seconds = plan.profile.federation.deadline
    if section.server is not None:
        if section.keys is None:
            raise UsageError("--server without --keys — the server is known by its certificate", hint="--keys DIR")
        link = Link(section.server, Keys(expanded(section.keys, "flower.keys")), directory / "home")
        with _joined(plan, loaded, link, directory, emit, [], ids, seconds) as reached:
            yield reached
        return
    clean_up(plan.profile.experiment.runs)
    processes: list[Process] = []
    try:
        keys = Keys(directory / _SECRETS)
        make_keys(keys.directory, ["localhost"], ids, force=True)
        port = free_port()
        emit(Noted(f"starting a server and {len(ids)} nodes on this machine"))
        processes.append(start_superlink(keys, "127.0.0.1", port, directory, lasting=False))
        link = Link(f"127.0.0.1:{port}", keys, directory / "home")
        link.register()
        profile = directory / "profile.toml"
        profile.write_text(resolved_toml(loaded), encoding="utf-8")
        for node in ids:
            place = directory / f"node{node}"
            place.mkdir(exist_ok=True)
            processes.append(
                Process(
                    f"node {node}",
                    "feda2v_cli.job.flower.node_process",
                    [str(profile), str(node), link.address, str(keys.directory), str(place)],
                    place / "node.log",
                    flower_environment(place / "home"),
                )
            )
        _remember(directory, processes)
        with _joined(plan, loaded, link, directory, emit, processes, ids, seconds) as reached:
            yield reached
    finally:
        end_all(processes)
        _remove(directory)


@contextmanager
def _joined(
    plan: FederationPlan,
    loaded: LoadedProfile,
    link: Link,
    directory: Path,
    emit: Listener,
    processes: list[Process],
    ids: list[int],
    seconds: float,
) -> Iterator[tuple[FederationPlan, Setup, FlowerEngine]]:
    def check() -> None:
        for process in processes:
            process.check()

    def check_server() -> None:
        if processes:
            processes[0].check()

    completed = False
    try:
        link.open()
        wait_for_nodes(link, ids, seconds, emit, check)
        plan, setup, checkpoints = join(plan, loaded, link, directory / "generators", emit, check)
        needed = checkpoints if setup.trainers else []
        tokens = {node: plan.encoders[node].shape[0] for node in ids}
        yield plan, setup, FlowerEngine(link, setup, tokens, needed, emit, check_server)
        completed = True
    finally:
        link.close(completed=completed)


def clean_up(runs: Path) -> None:
    """End what commands have left that were killed, and remove their keys.

    Args:
        runs: the directory of all runs.
    """
    for listed in runs.glob(f"*/flower/{_PROCESSES}"):
        content = json.loads(listed.read_text(encoding="utf-8"))
        if _started(content["command"]["pid"]) == content["command"]["started"]:
            continue  # it runs still
        for process in content["processes"]:
            if _started(process["pid"]) == process["started"]:
                with suppress(ProcessLookupError):
                    os.kill(process["pid"], signal.SIGKILL)
        _remove(listed.parent)


def _remember(directory: Path, processes: list[Process]) -> None:
    content = {
        "command": {"pid": os.getpid(), "started": _started(os.getpid())},
        "processes": [{"pid": process.pid, "started": _started(process.pid)} for process in processes],
    }
    (directory / _PROCESSES).write_text(json.dumps(content), encoding="utf-8")


def _started(pid: int) -> str | None:
    """When a process was started, which tells it from another one with its id; None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def _remove(directory: Path) -> None:
    shutil.rmtree(directory / _SECRETS, ignore_errors=True)
    for path in (*directory.glob("node*/worker-*.key"), *directory.glob(f"{_STATE}*"), directory / _PROCESSES):
        path.unlink(missing_ok=True)
    shutil.rmtree(directory / "home", ignore_errors=True)
    for home in directory.glob("node*/home"):
        shutil.rmtree(home, ignore_errors=True)
