"""What becomes of a request that fails, and of a task that is no longer one's own."""

import threading
from types import SimpleNamespace

import httpx
import pytest

from feda2v_cli.flower.retry import keep_alive, retrying

pytestmark = pytest.mark.flower


def _refused(code: int) -> httpx.HTTPStatusError:
    asked = httpx.Request("POST", "https://localhost")
    return httpx.HTTPStatusError("refused", request=asked, response=httpx.Response(code, request=asked))


def _ask(seconds: float | None, *errors: Exception) -> str:
    """Ask a server that fails so, once each, and then answers."""
    left = list(errors)

    def answer() -> str:
        if left:
            raise left.pop(0)
        return "answered"

    retry = retrying(seconds)
    retry.wait_function = lambda _: None
    return str(retry.invoke(answer))


def test_a_server_that_is_away_is_asked_again() -> None:
    assert _ask(None, httpx.ConnectError("away"), _refused(503), httpx.ReadTimeout("slow")) == "answered"


def test_a_server_that_is_away_too_long_is_not() -> None:
    with pytest.raises(httpx.ConnectError):
        _ask(0.0, httpx.ConnectError("away"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_refused(401), httpx.HTTPStatusError),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"), httpx.ConnectError),
    ],
)
def test_one_that_refuses_is_asked_once(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        _ask(None, error)


def test_a_task_that_is_gone_ends_neither_its_process_nor_its_heartbeats() -> None:
    beats = threading.Event()

    def refuse(_: object) -> None:
        beats.set()
        raise _refused(401)

    heartbeat = keep_alive(SimpleNamespace(SendTaskHeartbeat=refuse))
    assert beats.wait(60)
    assert heartbeat.is_running
    heartbeat.stop()
