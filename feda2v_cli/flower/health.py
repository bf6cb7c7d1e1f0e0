"""What a SuperLink says to anyone: that it is there, and what time it is."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

from feda2v_cli.flower.keys import AUTHORITY, Keys


def reachable(address: str, keys: Keys) -> bool:
    """Whether a SuperLink with the right certificate answers."""
    answer = _health(address, keys)
    return answer is not None and bool(answer.is_success)


def seconds_ahead(address: str, keys: Keys) -> float | None:
    """How far the clock of this machine is ahead of the server's, to a second; None when the server does not say."""
    answer = _health(address, keys)
    if answer is None or "date" not in answer.headers:
        return None
    return time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()


def _health(address: str, keys: Keys) -> Any:
    import ssl

    import httpx

    context = ssl.create_default_context(cafile=str(keys.file(AUTHORITY)))
    try:
        return httpx.get(f"https://{address}/health", verify=context, timeout=2.0)
    except httpx.HTTPError:
        return None
