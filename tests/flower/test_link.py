"""What the command makes of what a server says, which stands in here."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from flwr.app import Message
from flwr.app.message import make_message, remove_content_from_message
from flwr.app.metadata import Metadata
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PullObjectResponse
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PullAppMessagesResponse
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.task_identity import TaskIdentity

from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.flower import link as module
from feda2v_cli.flower.keys import Keys, make_keys
from feda2v_cli.flower.letter import Letter, to_record
from feda2v_cli.flower.link import Link

pytestmark = pytest.mark.flower


@dataclass
class Server:
    """Two nodes that are connected; the second is started anew after the first look, between two questions.

    Attributes:
        looks: how often it was asked who is there.
        answered: nodes whose answers are announced.
        incomplete: by node, at how many looks a part of its answer is not there.
        lost: whether the server waits for such a part no longer.
        restarted: whether the second node is started anew.
        away: at how many looks the second node is not there yet.
        asked: ids of the messages whose answers were asked for, at each look.
    """

    looks: int = 0
    answered: tuple[int, ...] = (0,)
    incomplete: Counter[int] = field(default_factory=Counter)
    lost: bool = False
    restarted: bool = True
    away: int = 0
    sent: list[int] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    node: Node = field(default_factory=Node)
    run: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(run_id=1))

    def __post_init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._whose: dict[str, int] = {}

    @property
    def _runtime_client(self) -> "Server":
        return self

    def nodes(self, keys: Keys) -> list[SimpleNamespace]:
        self.looks += 1
        since = "later" if self.looks > 1 and self.restarted else "first"
        second = "online" if self.looks > self.away else "offline"
        return [
            SimpleNamespace(
                public_key=key,
                node_id=7 + node,
                status=second if node else "online",
                last_activated_at=since if node else "",
            )
            for node, key in keys.nodes().items()
        ]

    def push_messages(self, messages: list[Message]) -> list[str]:
        self.sent += [message.metadata.dst_node_id - 7 for message in messages]
        return [f"to {self.sent[-1]}"]

    def PullMessages(self, request: PullAppMessagesRequest) -> PullAppMessagesResponse:  # noqa: N802 - Flower's name
        self.asked.append(list(request.message_ids))
        there = [identity for identity in request.message_ids if int(identity[-1]) in self.answered]
        answers = [self._answer(identity) for identity in there]
        return PullAppMessagesResponse(
            messages_list=[message_to_proto(remove_content_from_message(answer)) for answer in answers],
            message_object_trees=[get_object_tree(answer) for answer in answers],
        )

    def PullObject(self, request: PullObjectRequest) -> PullObjectResponse:  # noqa: N802 - Flower's name
        node = self._whose.get(request.object_id)
        if node is not None and self.incomplete[node]:
            self.incomplete[node] -= 1
            return PullObjectResponse(object_found=not self.lost, object_available=False)
        content = self._objects[request.object_id]
        return PullObjectResponse(object_found=True, object_available=True, object_content=content)

    def ConfirmMessageReceived(self, request: ConfirmMessageReceivedRequest) -> None:  # noqa: N802 - Flower's name
        assert request.message_object_id in self._objects

    def _answer(self, identity: str) -> Message:
        node = int(identity[-1])
        metadata = Metadata(1, "", 7 + node, 1, identity, "", time.time(), 600.0, "query")
        answer = make_message(metadata, content=to_record(Letter("evaluated", {"right": node})))
        metadata.__dict__["_message_id"] = answer.object_id
        for part, value in get_all_nested_objects(answer).items():
            self._objects[part] = value.deflate()
        self._whose[answer.object_id] = node
        return answer


def _link(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> Link:
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
    keys = Keys(path)
    make_keys(path, ["localhost"], range(2))
    monkeypatch.setattr(module, "registered", lambda _: server.nodes(keys))
    link = Link("localhost:1", keys, path)
    link._grid = server
    return link


def _ask(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> dict[int, str | None]:
    """Ask both nodes; what is said of each, None of one that has answered."""
    link = _link(server, path, monkeypatch)
    replies = link.ask({node: Letter("evaluate", {}) for node in range(2)}, seconds)
    assert server.sent == [0, 1]
    return {node: None if reply.letter is not None else reply.problem for node, reply in replies.items()}


def test_a_node_that_was_away_between_two_looks_is_waited_for_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _ask(Server(), tmp_path, monkeypatch, 600.0)
    assert said == {0: None, 1: "was away, or has been started anew"}


def test_what_a_node_answered_before_it_was_away_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ask(Server(answered=(0, 1)), tmp_path, monkeypatch, 600.0) == {0: None, 1: None}


def test_a_node_that_stays_is_waited_for_until_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = _ask(Server(restarted=False), tmp_path, monkeypatch, 1.0)
    assert said == {0: None, 1: "has not answered within 1 s"}


def test_an_answer_is_taken_when_all_its_parts_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(answered=(0, 1), incomplete=Counter({0: 2}), restarted=False)
    assert _ask(server, tmp_path, monkeypatch, 600.0) == {0: None, 1: None}
    assert server.asked == [["to 0", "to 1"]]


def test_a_part_that_never_comes_does_not_keep_the_answer_of_another_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(answered=(0, 1), incomplete=Counter({0: 1000}), restarted=False)
    assert _ask(server, tmp_path, monkeypatch, 1.0) == {0: "has not answered within 1 s", 1: None}


def test_a_node_that_was_killed_in_the_middle_of_its_answer_is_waited_for_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _ask(Server(answered=(0, 1), incomplete=Counter({1: 1000})), tmp_path, monkeypatch, 600.0)
    assert said == {0: None, 1: "was away, or has been started anew"}


def test_an_answer_of_which_the_server_has_lost_a_part_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(answered=(0, 1), incomplete=Counter({0: 1000}), lost=True, restarted=False)
    assert _ask(server, tmp_path, monkeypatch, 600.0) == {0: "sent an answer of which a part is lost", 1: None}


@pytest.mark.parametrize(
    ("enough", "seconds", "missing", "said"),
    [(1, 600.0, [1], []), (2, 600.0, [], ["waiting for node 1"]), (2, -1.0, [1], [])],
)
def test_nodes_are_waited_for_until_there_are_enough_or_it_was_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: int, seconds: float, missing: list[int], said: list[str]
) -> None:
    told: list[str] = []
    link = _link(Server(away=2), tmp_path, monkeypatch)
    assert link.wait_for([0, 1], enough, seconds, told.append) == missing
    assert told == said


def test_a_run_that_the_server_has_ended_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        asked = httpx.Request("POST", "https://localhost")
        raise httpx.HTTPStatusError("401", request=asked, response=httpx.Response(401, request=asked))

    server = Server()
    monkeypatch.setattr(server, "push_messages", refuse)
    with pytest.raises(FailedError, match="has ended the run") as raised:
        _link(server, tmp_path, monkeypatch).ask({0: Letter("evaluate", {})}, 600.0)
    assert raised.value.hint == "the same command with --resume"


def test_a_server_that_was_never_there_leaves_nothing_to_resume(tmp_path: Path) -> None:
    make_keys(tmp_path, ["localhost"], range(2))
    with pytest.raises(MissingError, match="cannot be reached") as raised:
        Link("127.0.0.1:1", Keys(tmp_path), tmp_path).open()
    assert raised.value.details == ()
    assert raised.value.hint == "feda2v flower server --keys DIR --port PORT, then the same command"
