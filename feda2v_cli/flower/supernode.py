"""A node: Flower's SuperNode, and in the same process the one who does what it is asked, which stays warm.

Flower starts a new process for every message, and looks for messages every 3 seconds. Here the messages of a node are
taken from its SuperNode by a thread that has PyTorch, the embeddings and the generators at hand. What the server sends
as code is never installed nor run.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from feda2v_cli.errors import Feda2vError
from feda2v_cli.flower.keys import AUTHORITY, Keys, node_key
from feda2v_cli.flower.letter import Letter, LetterError, from_record, to_record
from feda2v_cli.flower.link import control_client, registered
from feda2v_cli.flower.process import free_port
from feda2v_cli.flower.retry import keep_alive, retrying
from feda2v_cli.flower.unanswered import leave_no_message_unanswered

#: Between two looks for messages: of the SuperNode at the server, and of the worker at the SuperNode.
POLL_SECONDS = 0.5
WORKER_POLL_SECONDS = 0.1
_FLOWERS_POLL_SECONDS = 3
#: A node that was killed counts as connected until two heartbeats are missing. It is Flower's shortest interval.
_HEARTBEAT_SECONDS = 10
#: So long its successor waits for that.
ACTIVATION_SECONDS = 30.0
#: Stands in the log while it does.
STILL_CONNECTED = "the server counts this node as connected still: waiting until it does not"
_ACQUIRE = "/flwr.proto.Runtime/AcquireTask"

#: Does what a letter asks, and gives the answer.
Handler = Callable[[Letter], Letter]


@dataclass(frozen=True)
class NodeOptions:
    """Which node, and where its server is.

    Attributes:
        node: its id.
        server: HOST:PORT of the SuperLink.
        keys: of the node.
    """

    node: int
    server: str
    keys: Keys


def run_supernode(options: NodeOptions, handle: Handler, secret_file: Path) -> None:
    """Run a SuperNode and its worker, until the process is ended.

    Args:
        options: which node.
        handle: does the work.
        secret_file: where to write what the worker shows the SuperNode; it is removed at once.
    """
    from flwr.supernode.cli import flower_supernode

    port = free_port()
    secret = os.urandom(32)
    with open(os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secret)
    worker = threading.Thread(
        target=_work, args=(f"127.0.0.1:{port}", secret, secret_file, handle), daemon=True, name="worker"
    )
    worker.start()
    # Its own wait for the next message would be most of a round.
    loop: Any = import_module("flwr.supernode.start_client_internal")
    loop.time = SimpleNamespace(**vars(time) | {"sleep": _short_sleep})
    for name in ("flwr.supercore.heartbeat", "flwr.supernode.fleet_http_connection"):
        heart: Any = import_module(name)
        heart.HEARTBEAT_DEFAULT_INTERVAL = _HEARTBEAT_SECONDS
    _be_patient(options)
    leave_no_message_unanswered()
    sys.argv = [
        "flower-supernode",
        "--superlink", options.server,
        "--root-certificates", str(options.keys.file(AUTHORITY)),
        "--auth-supernode-private-key", str(options.keys.file(node_key(options.node))),
        "--host", "127.0.0.1",
        "--port", str(port),
        "--isolation", "process",
        "--superexec-auth-secret-file", str(secret_file),
    ]  # fmt: skip
    flower_supernode()


def _be_patient(options: NodeOptions) -> None:
    """Let the SuperNode wait while the server takes a process for connected that was killed."""
    import httpx

    fleet: Any = import_module("flwr.supernode.fleet_http_client").FleetHttpClient
    activate = fleet.ActivateNode
    authority = options.keys.file(AUTHORITY).read_bytes()

    def patiently(client: Any, request: Any) -> Any:
        deadline = time.monotonic() + ACTIVATION_SECONDS
        told = was_away = False
        while True:
            asked = time.monotonic()
            try:
                return activate(client, request)
            except httpx.HTTPStatusError:
                is_away = not _is_connected(options.server, authority, request.public_key)
                # One that is away only now was still there when it was refused.
                if asked > deadline or (is_away and was_away):
                    raise
                was_away = is_away
            if not told and not is_away:
                print(STILL_CONNECTED, flush=True)
                told = True
            time.sleep(1.0)

    fleet.ActivateNode = patiently


def _is_connected(server: str, authority: bytes, public_key: bytes) -> bool:
    """Whether the server counts the node of a key as connected."""
    control = control_client(server, authority)
    try:
        return any(info.public_key == public_key and info.status == "online" for info in registered(control))
    finally:
        control.close()


def _short_sleep(seconds: float) -> None:
    time.sleep(POLL_SECONDS if seconds == _FLOWERS_POLL_SECONDS else min(seconds, WORKER_POLL_SECONDS))


def _work(address: str, secret: bytes, secret_file: Path, handle: Handler) -> None:
    import httpx
    from flwr.proto.runtime_pb2 import AcquireTaskRequest
    from flwr.supercore.constant import TaskType
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient

    client = RuntimeHttpClient.from_server_address(
        address,
        True,
        None,
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperExec"),
            SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods={_ACQUIRE}),
        ],
    )
    one_at_a_time = threading.Lock()
    while True:
        try:
            acquired = client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]))
        except httpx.TransportError:  # the SuperNode is about to start, or to end
            time.sleep(WORKER_POLL_SECONDS)
            continue
        except httpx.HTTPStatusError as error:
            print(f"the SuperNode gives no task: {error}", file=sys.stderr)
            time.sleep(POLL_SECONDS)
            continue
        secret_file.unlink(missing_ok=True)
        if acquired.token:
            # A message of a command that was killed while it sent may never be whole: others must not wait for it.
            arguments = (address, acquired.token, handle, one_at_a_time)
            threading.Thread(target=_do_task, args=arguments, daemon=True, name="task").start()
        else:
            time.sleep(WORKER_POLL_SECONDS)


def _do_task(address: str, token: str, handle: Handler, one_at_a_time: threading.Lock) -> None:
    """Do one task, as `flwr-clientapp` does, but for the code that came with it."""
    from flwr.app import Error, Message
    from flwr.common.constant import ErrorCode, SubStatus
    from flwr.common.serde import context_from_proto
    from flwr.proto.node_pb2 import Node
    from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PullTaskInputRequest
    from flwr.supercore.inflatable.inflatable_protobuf_utils import (
        make_confirm_message_received_fn_protobuf,
        make_pull_object_fn_protobuf,
    )
    from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree
    from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient
    from flwr.supercore.task_identity import TaskIdentity
    from flwr.supernode.runtime.run_clientapp import push_message, push_task_output

    client = RuntimeHttpClient.from_server_address(
        address,
        True,
        None,
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
            RuntimeTokenHttpInterceptor(token),
        ],
        retry_invoker=retrying(None),
    )
    heartbeat = keep_alive(client)
    status, details = SubStatus.FAILED, ""
    context = None
    try:
        given = client.PullTaskInput(PullTaskInputRequest())
        context = context_from_proto(given.context)
        # A SuperNode makes the task first, and then keeps the message: on a busy machine that can take its time.
        while not (pulled := client.PullMessages(PullAppMessagesRequest())).messages_list:
            time.sleep(WORKER_POLL_SECONDS)
        tree, header = pulled.message_object_trees[0], pulled.messages_list[0].metadata
        node = Node(node_id=context.node_id)
        message: Any = pull_and_inflate_object_from_tree(
            tree,
            make_pull_object_fn_protobuf(client.PullObject, node, context.run_id),
            make_confirm_message_received_fn_protobuf(client.ConfirmMessageReceived, node, context.run_id),
            return_type=Message,
            max_time=header.created_at + header.ttl - time.time(),
        )
        message.metadata.__dict__["_message_id"] = tree.object_id
        with one_at_a_time:
            # Flower knows one task a process.
            TaskIdentity.task_id, TaskIdentity.run_id = given.task_id, given.run.run_id
            TaskIdentity.node_id = context.node_id
            try:
                answer = _answer(message.content, handle)
                reply = Message(to_record(answer), reply_to=message)
            except Exception as error:  # noqa: BLE001 - whatever happens, the server is told, and the node stays
                print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
                code = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
                reply = Message(Error(code=code, reason=type(error).__name__), reply_to=message)
        push_message(client, reply, context)
        status = SubStatus.COMPLETED
    except Exception as error:  # noqa: BLE001 - the next message is a new chance
        details = type(error).__name__
        print(f"a message was lost: {details}: {error}", file=sys.stderr)
    finally:
        push_task_output(client, context, status, details)
        heartbeat.stop()
        client.close()


def _answer(content: Any, handle: Handler) -> Letter:
    """The answer to a message. What a user did wrong on this node is told the server, without paths and values."""
    try:
        return handle(from_record(content))
    except LetterError as error:
        return Letter("refused", {"reason": error.title})
    except Feda2vError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return Letter("refused", {"reason": f"{type(error).__name__}: see the log of the node"})
