"""What the command makes of what a server says, which stands in here."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

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
        answered: nodes whose answers are there.
        restarted: whether the second node is started anew.
    """

    looks: int = 0
    answered: tuple[int, ...] = (0,)
    restarted: bool = True
    sent: list[int] = field(default_factory=list)

    def nodes(self, keys: Keys) -> list[SimpleNamespace]:
        self.looks += 1
        since = "later" if self.looks > 1 and self.restarted else "first"
        return [
            SimpleNamespace(public_key=key, node_id=7 + node, status="online", last_activated_at=since if node else "")
            for node, key in keys.nodes().items()
        ]

    def push_messages(self, messages: list[SimpleNamespace]) -> list[str]:
        self.sent += [message.metadata.dst_node_id - 7 for message in messages]
        return [f"to {self.sent[-1]}"]

    def pull_messages(self, identities: list[str]) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                metadata=SimpleNamespace(reply_to_message_id=identity),
                has_error=lambda: False,
                content=to_record(Letter("evaluated", {})),
            )
            for identity in identities
            if int(identity[-1]) in self.answered
        ]


def _ask(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float) -> dict[int, str | None]:
    """Ask both nodes; what is said of each, None of one that has answered."""
    from flwr.supercore.task_identity import TaskIdentity

    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
    keys = Keys(path)
    make_keys(path, ["localhost"], range(2))
    monkeypatch.setattr(module, "registered", lambda _: server.nodes(keys))
    link = Link("localhost:1", keys, path)
    link._grid = server
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
