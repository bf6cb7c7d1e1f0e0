"""The way from the command to the nodes: Flower's SuperLink, which the command directs itself.

For Flower, the command is the ServerApp of a run. It takes the run's task as Flower's own SuperExec would, which needs
the command's key; so no code travels, and nothing is run but this package.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feda2v_cli.errors import FailedError, MissingError, first_line
from feda2v_cli.flower.arrivals import Arrivals
from feda2v_cli.flower.keys import AUTHORITY, COMMAND_KEY, Keys
from feda2v_cli.flower.letter import Letter, LetterError, from_record, to_record
from feda2v_cli.flower.retry import keep_alive, retrying

#: Between two looks for answers.
POLL_SECONDS = 0.25
#: How long a server may be away before the command gives up; a round can be resumed.
SERVER_SECONDS = 20.0
#: Between two looks for nodes that are waited for, and between two reports of who they are.
_WAIT_SECONDS = 0.5
_REPORT_SECONDS = 10.0
#: Commands that begin at the same moment take each other's runs.
_OPENINGS = 10
_ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
_MESSAGE_TYPE = "query"


@dataclass(frozen=True)
class Reply:
    """What came back from a node.

    Attributes:
        letter: the answer; None when there is none.
        problem: why there is none.
        seconds: until it was here.
    """

    letter: Letter | None
    problem: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Presence:
    """A node that is connected; one that comes back is another."""

    flower_id: int
    since: str


class Link:
    """A connection to a SuperLink, as the ServerApp of a run of its own.

    Args:
        address: HOST:PORT of the SuperLink.
        keys: of the command.
        home: Flower's own directory.
    """

    def __init__(self, address: str, keys: Keys, home: Path) -> None:
        self.address = address
        self._authority = keys.file(AUTHORITY).read_bytes()
        self._secret = keys.file(COMMAND_KEY).read_bytes()
        self._nodes = keys.nodes()
        self._home = home
        self._grid: Any = None
        self._retry: Any = None
        self._heartbeat: Any = None
        self._run_id = 0
        self._clients: list[Any] = []
        self._control_client: Any = None
        logging.getLogger("flwr").handlers.clear()
        logging.getLogger("flwr").addHandler(logging.NullHandler())

    def open(self) -> None:
        """Begin a run.

        Raises:
            FailedError: the server is not there, has another authority, or does not accept the command's key.
        """
        from flwr.common.serde import fab_to_proto
        from flwr.proto.control_pb2 import StartRunRequest
        from flwr.supercore.fab import Fab

        app = _app(self._home)
        with self._talking():
            fab = fab_to_proto(Fab(hashlib.sha256(app).hexdigest(), app, {}))
            for _ in range(_OPENINGS):
                self._run_id = self._control().StartRun(StartRunRequest(fab=fab)).run_id
                if self._take_task():
                    self._retry.max_time = SERVER_SECONDS
                    return
        raise FailedError(f"the server {self.address} gives its runs to other commands", hint="try again")

    def close(self, *, completed: bool) -> None:
        """End the run.

        Args:
            completed: whether all went well, for Flower's own list of runs.
        """
        from flwr.common.constant import SubStatus
        from flwr.proto.runtime_pb2 import PushTaskOutputRequest

        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        if self._grid is not None:
            status = SubStatus.COMPLETED if completed else SubStatus.STOPPED
            self._retry.max_tries = 1
            with suppress(Exception):  # the server may be gone, which is no matter now
                self._grid._runtime_client.PushTaskOutput(PushTaskOutputRequest(sub_status=status, details=""))
            self._grid.close()
            self._grid = None
        for client in self._clients:
            client.close()
        self._clients, self._control_client = [], None

    def register(self) -> None:
        """Tell the SuperLink which nodes there are, by their public keys; those that it knows stay as they are."""
        from flwr.proto.control_pb2 import RegisterNodeRequest

        with self._talking():
            known = {info.public_key for info in registered(self._control())}
            for node, key in self._nodes.items():
                if key not in known:
                    self._control().RegisterNode(RegisterNodeRequest(public_key=key, name=f"node {node}"))
        self._retry.max_time = SERVER_SECONDS

    def online(self) -> dict[int, int]:
        """Flower's ids of the nodes that are there, by node."""
        return {node: there.flower_id for node, there in self._there().items()}

    def wait_for(
        self,
        nodes: Sequence[int],
        enough: int,
        seconds: float,
        say: Callable[[str], None],
        on_wait: Callable[[], None] = lambda: None,
    ) -> list[int]:
        """Wait until enough nodes are connected.

        Args:
            nodes: their ids.
            enough: so many of them.
            seconds: that are waited at most.
            say: is told for whom.
            on_wait: called while it waits; may raise.

        Returns:
            The nodes that are missing; when it was in vain, too many.

        Raises:
            FailedError: the server is gone.
        """
        started = time.monotonic()
        reported = -_REPORT_SECONDS
        while len(missing := sorted(set(nodes) - set(self.online()))) > len(nodes) - enough:
            on_wait()
            passed = time.monotonic() - started
            if passed > seconds:
                break
            if passed - reported >= _REPORT_SECONDS:
                say("waiting for " + ", ".join(f"node {node}" for node in missing))
                reported = passed
            time.sleep(_WAIT_SECONDS)
        return missing

    def _there(self) -> dict[int, "_Presence"]:
        with self._talking():
            by_key = {key: node for node, key in self._nodes.items()}
            return {
                by_key[info.public_key]: _Presence(info.node_id, info.last_activated_at)
                for info in registered(self._control())
                if info.status == "online" and info.public_key in by_key
            }

    def ask(
        self,
        letters: Mapping[int, Letter],
        deadline_seconds: float,
        on_wait: Callable[[], None] = lambda: None,
        follow: Callable[[int, Letter], Letter | None] = lambda node, answer: None,  # noqa: ARG005 - no more to ask
    ) -> dict[int, Reply]:
        """Send each node a letter and wait for all answers, or for the deadline.

        Args:
            letters: by node.
            deadline_seconds: for all of them together.
            on_wait: called while it waits; may raise.
            follow: what else to send a node that has answered, whose answer to that is waited for; None for nothing.

        Returns:
            By node, sorted: it does not depend on who answered first.

        Raises:
            FailedError: the server is gone.
        """
        started = time.monotonic()
        there = self._there()
        flower_ids = {node: presence.flower_id for node, presence in there.items()}
        replies = {node: Reply(None, "is not connected to the server") for node in letters if node not in flower_ids}
        waiting = self._send({node: letter for node, letter in letters.items() if node in flower_ids}, flower_ids,
                             deadline_seconds)  # fmt: skip
        arrivals = Arrivals(self._grid)
        while waiting and time.monotonic() - started < deadline_seconds:
            now = self._there()
            for node, reply in self._collect(arrivals, waiting).items():
                passed = time.monotonic() - started
                more = follow(node, reply.letter) if reply.letter is not None else None
                if more is None:
                    replies[node] = Reply(reply.letter, reply.problem, passed)
                else:
                    waiting |= self._send({node: more}, flower_ids, deadline_seconds - passed)
            for identity, node in list(waiting.items()):
                # The server tells of a node that is away while it is, and forgets that when the node is back.
                if now.get(node) != there[node]:
                    del waiting[identity]
                    replies[node] = Reply(None, "was away, or has been started anew")
            if waiting:
                on_wait()
                time.sleep(POLL_SECONDS)
        for node in waiting.values():
            replies[node] = Reply(None, f"has not answered within {deadline_seconds:.0f} s")
        return dict(sorted(replies.items()))

    def _send(self, letters: Mapping[int, Letter], flower_ids: Mapping[int, int], seconds: float) -> dict[str, int]:
        """Nodes by the id of the message that was sent."""
        from flwr.app import Message

        sent = {}
        with self._talking():
            for node, letter in letters.items():
                message = Message(to_record(letter), flower_ids[node], _MESSAGE_TYPE, ttl=max(1.0, seconds))
                (identity,) = self._grid.push_messages([message])
                sent[identity] = node
        return sent

    def _collect(self, arrivals: Arrivals, waiting: dict[str, int]) -> dict[int, Reply]:
        """What has come back; it is waited for no longer."""
        came: dict[int, Reply] = {}
        with self._talking():
            for identity, message in arrivals.look(waiting).items():
                node = waiting.pop(identity)
                if message is None:
                    came[node] = Reply(None, "sent an answer of which a part is lost")
                elif message.has_error():
                    came[node] = Reply(None, f"failed: {message.error.reason}")
                else:
                    try:
                        came[node] = Reply(from_record(message.content))
                    except LetterError as error:
                        came[node] = Reply(None, f"sent {error.title}")
        return came

    def _take_task(self) -> bool:
        """Take the task of the run; False when another command has."""
        from flwr.common.serde import run_from_proto
        from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest
        from flwr.supercore.constant import TaskType
        from flwr.supercore.interceptors import (
            RuntimeTokenHttpInterceptor,
            RuntimeVersionHttpInterceptor,
            SuperExecAuthHttpInterceptor,
        )
        from flwr.supercore.runtime import RuntimeHttpClient
        from flwr.supercore.task_identity import TaskIdentity
        from flwr.superlink.grid.http_grid import HttpGrid

        def client(*interceptors: Any) -> Any:
            version = RuntimeVersionHttpInterceptor(component_name="flwr-serverapp")
            made = RuntimeHttpClient.from_server_address(
                self.address, False, self._authority, interceptors=[version, *interceptors]
            )
            self._clients.append(made)
            return made

        signing = client(SuperExecAuthHttpInterceptor(master_secret=self._secret, protected_methods={_ACQUIRE}))
        while True:
            acquired = signing.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.SERVER_APP]))
            if not acquired.token:
                return False
            if acquired.task.run_id == self._run_id:
                break
            # Of a command that was killed before it took its task: Flower ends that, for nobody keeps it alive.
        own = client(RuntimeTokenHttpInterceptor(acquired.token))
        self._heartbeat = keep_alive(own)
        given = own.PullTaskInput(PullTaskInputRequest())
        TaskIdentity.task_id, TaskIdentity.run_id = given.task_id, given.run.run_id
        TaskIdentity.node_id = given.context.node_id
        self._grid = HttpGrid(self.address, False, self._authority, token=acquired.token)
        self._grid._retry_invoker = self._retry
        self._grid.set_run(run_from_proto(given.run))
        return True

    def _control(self) -> Any:
        if self._control_client is None:
            self._retry = retrying(0.0)
            self._control_client = control_client(self.address, self._authority, self._retry)
            self._clients.append(self._control_client)
        return self._control_client

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Say in the user's words what went wrong with the server."""
        import httpx

        try:
            yield
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            if code == httpx.codes.UNAUTHORIZED and self._grid is not None:
                raise FailedError(
                    f"the server {self.address} has ended the run",
                    ["it was started anew, or has not heard of this command for a minute", "what was done is kept"],
                    hint="the same command with --resume",
                ) from error
            if code == httpx.codes.UNAUTHORIZED:
                raise FailedError(
                    f"the server {self.address} does not accept {COMMAND_KEY}",
                    ["it was started with other keys"],
                    hint="give --keys the directory that the server was started with",
                ) from error
            raise FailedError(f"the server {self.address} refuses: {code} {error.response.text[:200]}") from error
        except httpx.TransportError as error:
            reason = first_line(error)
            if "CERTIFICATE_VERIFY_FAILED" in reason:
                raise FailedError(
                    f"the server {self.address} is not the one of {AUTHORITY}: {reason}",
                    ["its certificate is of another authority, or for another name"],
                    hint="feda2v flower keys --host NAME, with the name that is given to --server",
                ) from error
            raise MissingError(
                f"the server {self.address} cannot be reached — {reason}",
                ["what was done is kept"] if self._grid is not None else [],
                hint="feda2v flower server --keys DIR --port PORT, then the same command"
                + (" with --resume" if self._grid is not None else ""),
            ) from error


def control_client(address: str, authority: bytes, retry: Any = None) -> Any:
    """A connection to the part of a SuperLink that knows runs and nodes; to be closed."""
    from flwr.supercore.control.control_http_client import ControlHttpClient
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

    version = RuntimeVersionHttpInterceptor(component_name="flwr-cli")
    return ControlHttpClient.from_server_address(address, False, authority, [version], retry_invoker=retry)


def registered(control: Any) -> list[Any]:
    """What a SuperLink says of its nodes: of each its public key, its id and whether it is online."""
    from flwr.proto.control_pb2 import ListNodesRequest

    return list(control.ListNodes(ListNodesRequest()).nodes_info)


def _app(home: Path) -> bytes:
    """The app that Flower wants to know of a run: a name, and no code that anyone runs."""
    from flwr.cli.build import build_fab_from_disk

    directory = home / "app"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pyproject.toml").write_text(
        '[project]\nname = "feda2v"\nversion = "1.0.0"\nlicense = "Apache-2.0"\n'
        '[tool.flwr.app]\npublisher = "feda2v"\n'
        '[tool.flwr.app.components]\nserverapp = "feda2v_app:app"\nclientapp = "feda2v_app:app"\n',
        encoding="utf-8",
    )
    (directory / "feda2v_app.py").write_text('"""Nothing: the package on each machine does the work."""\napp = None\n')
    (directory / "LICENSE").write_text("Apache-2.0\n")
    content: bytes = build_fab_from_disk(directory)
    return content
