"""A node's greeting, while the server takes the process before it for connected."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from feda2v_cli.flower import supernode
from feda2v_cli.flower.keys import Keys, make_keys

pytestmark = pytest.mark.flower


def _greet(path: Path, monkeypatch: pytest.MonkeyPatch, accepted: list[bool], connected: list[bool]) -> object:
    """Greet a server that accepts and counts the node as connected as given, one look after the other."""
    answers: Iterator[bool] = iter(accepted)
    looks: Iterator[bool] = iter(connected)

    def activate(*_: Any) -> str:
        if next(answers):
            return "activated"
        asked = httpx.Request("POST", "https://localhost")
        raise httpx.HTTPStatusError("refused", request=asked, response=httpx.Response(400, request=asked))

    fleet: Any = import_module("flwr.supernode.fleet_http_client").FleetHttpClient
    monkeypatch.setattr(fleet, "ActivateNode", activate)
    monkeypatch.setattr(supernode, "_is_connected", lambda *_: next(looks))
    monkeypatch.setattr(supernode.time, "sleep", lambda _: None)
    make_keys(path, ["localhost"], [0])
    supernode._be_patient(supernode.NodeOptions(0, "localhost:1", Keys(path)))
    return fleet.ActivateNode(None, SimpleNamespace(public_key=b""))


def test_a_node_waits_while_the_server_counts_it_as_connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _greet(tmp_path, monkeypatch, [False, False, True], [True, True]) == "activated"


def test_a_node_that_was_counted_as_connected_until_this_moment_greets_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _greet(tmp_path, monkeypatch, [False, False, True], [True, False]) == "activated"


def test_a_node_that_the_server_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        _greet(tmp_path, monkeypatch, [False, False], [False, False])


def test_a_node_that_stays_connected_as_another_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supernode, "ACTIVATION_SECONDS", -1.0)
    with pytest.raises(httpx.HTTPStatusError):
        _greet(tmp_path, monkeypatch, [False], [True])


def test_a_greeting_that_took_long_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server refuses it when the time is over, but it was asked before.
    clock = iter([0.0, 29.0, 31.0])
    monkeypatch.setattr(supernode.time, "monotonic", lambda: next(clock))
    assert _greet(tmp_path, monkeypatch, [False, True], [True]) == "activated"
