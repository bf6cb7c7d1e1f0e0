"""Parts of Flower that are not promised and that this package leans on: a new version of it fails here first."""

import inspect
from importlib import import_module
from importlib.metadata import version

import pytest

pytestmark = pytest.mark.flower


def _parameters(module: str, name: str) -> list[str]:
    return list(inspect.signature(getattr(import_module(module), name)).parameters)


def test_the_installed_version_is_one_that_was_tried() -> None:
    assert version("flwr").split(".")[:2] in (["1", "41"], ["1", "42"])


def test_a_supernode_waits_three_seconds_for_its_next_message_with_the_time_of_its_module() -> None:
    loop = import_module("flwr.supernode.start_client_internal")
    assert loop.time.sleep
    waits = inspect.getsource(loop.start_client_internal)
    assert "time.sleep(3)" in waits
    # It sends an answer before it takes the next message, and looks for that with the same time.
    assert "time.sleep(0.5)" in inspect.getsource(loop._push_messages)


def test_a_supernode_s_heartbeats_and_its_greeting_can_be_set() -> None:
    for name in ("flwr.supercore.heartbeat", "flwr.supernode.fleet_http_connection"):
        module = import_module(name)
        assert module.HEARTBEAT_DEFAULT_INTERVAL == 30
        assert "HEARTBEAT_DEFAULT_INTERVAL" in inspect.getsource(module).partition("def ")[2]
    assert import_module("flwr.common.constant").HEARTBEAT_MIN_INTERVAL == 10
    assert "client.ActivateNode" in inspect.getsource(import_module("flwr.supernode.fleet_http_connection"))


def test_a_node_s_work_takes_and_gives_messages_as_flower_s_own_process_does() -> None:
    module = "flwr.supernode.runtime.run_clientapp"
    assert _parameters(module, "push_message") == ["client", "message", "context"]
    assert _parameters(module, "push_task_output")[:4] == ["client", "context", "sub_status", "details"]
    tree = _parameters("flwr.supercore.inflatable.inflatable_utils", "pull_and_inflate_object_from_tree")
    assert tree[:3] == ["object_tree", "pull_object_fn", "confirm_object_received_fn"]


def test_a_supernode_waits_for_ever_for_an_answer_unless_its_state_gives_one() -> None:
    state = import_module("flwr.supernode.nodestate.in_memory_nodestate")
    assert _parameters(state.__name__, "InMemoryNodeState") == ["object_store"]
    source = inspect.getsource(state.InMemoryNodeState)
    parts = (
        "def finish_task(self, task_id: int, sub_status: str, details: str)",
        "def _store_error_replies(self, run_ids: set[int], error: Error)",
        "def _on_task_tokens_expired(self, tasks: list[Task])",
        "SubStatus.FAILED",
        "entry.is_retrieved",
        "self.lock_msg_store",
        "self.msg_store",
    )
    assert [part for part in parts if part not in source] == []
    assert state.CLIENT_APP_CRASHED_ERROR.reason
    loop = import_module("flwr.supernode.start_client_internal")
    started = inspect.getsource(loop.start_client_internal)
    assert "_pull_and_store_message(\n                state=state" in started
    assert "_push_messages(\n                state=state" in started
    sent = inspect.getsource(loop._push_messages)
    assert "message.metadata.message_id,\n                    message.metadata.reply_to_message_id" in sent


def test_the_command_can_be_the_app_of_a_run() -> None:
    from flwr.superlink.grid.http_grid import HttpGrid

    assert {"push_messages", "run", "set_run", "close"} <= set(dir(HttpGrid))
    source = inspect.getsource(HttpGrid)
    assert "retry_invoker=self._retry_invoker" in source
    assert "self._runtime_client.PullMessages" in source
    assert "node=self.node" in source
    from flwr.supercore.task_identity import TaskIdentity

    assert {"task_id", "run_id", "node_id"} <= set(dir(type(TaskIdentity)))


@pytest.mark.parametrize(
    ("module", "parser", "flags"),
    [
        (
            "flwr.superlink.cli.flower_superlink",
            "_parse_args_run_superlink",
            ["--isolation", "--superexec-auth-secret-file", "--enable-supernode-auth", "--ssl-ca-certfile",
             "--ssl-certfile", "--ssl-keyfile", "--disable-runtime-dependency-installation", "--database", "--host",
             "--port"],
        ),
        (
            "flwr.supernode.cli.flower_supernode",
            "_parse_args_run_supernode",
            ["--superlink", "--root-certificates", "--auth-supernode-private-key", "--host", "--port", "--isolation",
             "--superexec-auth-secret-file"],
        ),
    ],
)  # fmt: skip
def test_processes_take_the_options_that_they_are_started_with(module: str, parser: str, flags: list[str]) -> None:
    known = getattr(import_module(module), parser)()._option_string_actions
    assert [flag for flag in flags if flag not in known] == []


def test_the_switches_that_keep_flower_silent_are_those_it_reads() -> None:
    from pathlib import Path

    import flwr

    from feda2v_cli.flower.process import flower_environment

    root = Path(flwr.__file__).parent
    read = "".join(path.read_text() for path in root.rglob("*.py") if "proto" not in path.parts)
    names = {name for name in flower_environment(root) if name.startswith("FLWR")}
    assert [name for name in sorted(names) if name not in read] == []
