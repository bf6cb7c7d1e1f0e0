"""How requests are made again, and how a task is kept alive.

Flower's own ways end the process that asks, as Ctrl-C would, when a task is no longer its own: the command's, when its
machine was asleep; a node's, when that happened in the middle of a round.
"""

from typing import Any

#: Answers of something between here and the server, while the server is away.
_AWAY = (502, 503, 504)


def retrying(seconds: float | None) -> Any:
    """Flower's RetryInvoker, which asks again while nobody answers.

    Args:
        seconds: that nobody may answer; None for any time.
    """
    import httpx
    from flwr.supercore.retry import RetryInvoker, exponential

    def is_final(error: Exception) -> bool:
        if isinstance(error, httpx.HTTPStatusError):
            return error.response.status_code not in _AWAY
        return "CERTIFICATE_VERIFY_FAILED" in str(error)

    return RetryInvoker(
        lambda: exponential(max_delay=2.0),
        (httpx.TransportError, httpx.HTTPStatusError),
        max_tries=None,
        max_time=seconds,
        should_giveup=is_final,
    )


def keep_alive(client: Any) -> Any:
    """Start Flower's HeartbeatSender for the task of a client. Whoever asks for that task is told when it is gone."""
    import httpx
    from flwr.proto.runtime_pb2 import SendTaskHeartbeatRequest
    from flwr.supercore.heartbeat import HeartbeatSender

    def beat() -> bool:
        try:
            client.SendTaskHeartbeat(SendTaskHeartbeatRequest())
        except httpx.TransportError:
            return False
        except httpx.HTTPStatusError as error:
            return error.response.status_code not in _AWAY
        return True

    heartbeat = HeartbeatSender(beat)
    heartbeat.start()
    return heartbeat
