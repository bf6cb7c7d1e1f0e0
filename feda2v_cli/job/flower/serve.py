"""The server and a node of several machines: they run until they are told to end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from feda2v_cli.checkpoint.lock import LockedError
from feda2v_cli.errors import FailedError
from feda2v_cli.flower.health import seconds_ahead
from feda2v_cli.flower.keys import AUTHORITY, Keys, node_key
from feda2v_cli.flower.link import Link
from feda2v_cli.flower.process import Process, flower_environment, require_flower
from feda2v_cli.flower.superlink import start_superlink
from feda2v_cli.flower.supernode import STILL_CONNECTED
from feda2v_cli.job.nodes import choose_nodes
from feda2v_cli.profile.load import LoadedProfile, resolved_toml
from feda2v_cli.run.directory import RunDirectory

Say = Callable[[str], None]

_POLL_SECONDS = 0.5
#: So far a node's clock may be ahead of the server's, or behind: Flower's limits, and as exact as the server tells.
_AHEAD_SECONDS, _BEHIND_SECONDS = 4.0, 304.0


def serve(keys: Path, bind: str, port: int, state: Path, say: Say) -> None:
    """Run a SuperLink that knows the nodes, until Ctrl-C or SIGTERM.

    Args:
        keys: directory of the server's keys.
        bind: address on which it listens.
        port: likewise.
        state: directory of its state and its log.
        say: tells the user.

    Raises:
        MissingError: Flower or a key is not there.
        LockedError: another server has this state.
        FailedError: it does not start, or ends by itself.
    """
    require_flower()
    with _alone(state):
        _serve(Keys(keys), bind, port, state, say)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two servers with one state would take each other's messages, and nodes would wait for them."""
    state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state / "server.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"another server runs with the state in {state}", hint="--state DIR: every server needs its own"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _serve(held: Keys, bind: str, port: int, state: Path, say: Say) -> None:
    process = start_superlink(held, bind, port, state, lasting=True)
    link = Link(f"127.0.0.1:{port}", held, state / "home")
    try:
        link.register()
        nodes = held.nodes()
        say(f"serving {len(nodes)} nodes on {bind}:{port}; Ctrl-C ends it; log {process.log}")
        known: set[int] = set()
        while True:
            process.check()
            there = set(link.online())
            for node in sorted(there - known):
                say(f"node {node} is there")
            for node in sorted(known - there):
                say(f"node {node} is gone")
            known = there
            time.sleep(_POLL_SECONDS * 4)
    except KeyboardInterrupt:
        return
    finally:
        link.close(completed=True)
        process.end()


def run_node(loaded: LoadedProfile, node: int, server: str, keys: Path, say: Say) -> Path:
    """Run a node until Ctrl-C or SIGTERM.

    Args:
        loaded: its own profile.
        node: its id.
        server: HOST:PORT of the server.
        keys: directory of the node's keys.
        say: tells the user.

    Returns:
        Directory of the run.

    Raises:
        MissingError: Flower, a key, data or weights are not there.
        UsageError: the profile has no such node.
        FailedError: the node ends by itself, as when the server does not know it.
    """
    require_flower()
    held = Keys(keys)
    held.file(AUTHORITY)
    held.file(node_key(node))
    choose_nodes(loaded.profile, [node])
    experiment = loaded.profile.experiment
    resolved = resolved_toml(loaded)
    run = RunDirectory.create(
        experiment.runs,
        f"{experiment.name}-node{node}",
        command=["feda2v", "flower", "node"],
        key=f"flower node {node}",
        profile=loaded.text,
        resolved=resolved,
    )
    directory = run.path / "flower"
    directory.mkdir()
    process = Process(
        f"node {node}",
        "feda2v_cli.job.flower.node_process",
        [str(run.path / "resolved.toml"), str(node), server, str(keys), str(directory)],
        directory / "node.log",
        flower_environment(directory / "home"),
    )
    shown = 0
    try:
        say(f"node {node} of {server}; Ctrl-C ends it; log {process.log}")
        while True:
            shown = _show_notes(process, shown, say)
            if process.has_ended:
                _explain(process, server, keys, node)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        run.finish("done")
        return run.path
    except BaseException:
        run.finish("failed")
        raise
    finally:
        process.end()


def _show_notes(process: Process, shown: int, say: Say) -> int:
    """Tell what the node has said of itself, which is until it is prepared; the rest is Flower's."""
    if shown < 0:
        return shown
    lines = process.log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines[shown:]:
        if line == "prepared":
            say("prepared; connecting")
            return -1
        say(line)
    return len(lines)


def _explain(process: Process, server: str, keys: Path, node: int) -> None:
    text = process.log.read_text(encoding="utf-8", errors="replace")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        raise FailedError(
            f"{server} is not the server of {keys / AUTHORITY}: its certificate is of another authority or name",
            hint="take ca.crt from where the server's keys were made",
        )
    if STILL_CONNECTED in text and "Failed to initialize the connection" in text:
        raise FailedError(
            f"another process is node {node} of {server}", ["it has the same key"], hint="end that one first"
        )
    # Flower ends a node without a word when the server refuses the time that its requests are signed with.
    ahead = seconds_ahead(server, Keys(keys))
    if ahead is not None and not -_BEHIND_SECONDS < ahead < _AHEAD_SECONDS:
        raise FailedError(
            f"the clock of this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of {server}",
            ["the server refuses requests that seem to come from another time"],
            hint="set the clocks, as with NTP, and start the node again",
        )
    if "Failed to initialize the connection" in text or "401" in text:
        raise FailedError(
            f"{server} does not know node {node} by the key in {keys}",
            ["the server was started with other keys"],
            hint=f"take {node_key(node)} from where the server's keys were made",
        )
    process.check()
