"""Reads the events of a run, line by line: a file may be long, and a line of a run that was killed may be damaged."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feda2v_cli.paths import is_file
from feda2v_cli.run.record import reading

_TAIL_BYTES = 1 << 18


class EventsFile:
    """The events in a run's `metrics.jsonl`.

    Args:
        path: the file; one that is not there holds no event.

    Attributes:
        damaged: lines that were passed over so far, because they are no event.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every event, in order.

        Raises:
            FailedError: the file is there and cannot be read.
        """
        if is_file(self.path):
            with reading(self.path), self.path.open("rb") as lines:
                for line in lines:
                    yield from self._event(line)

    def last(self, kinds: frozenset[str]) -> dict[str, Any] | None:
        """The last event of some kinds; None when it does not stand near the file's end."""
        if not is_file(self.path):
            return None
        with reading(self.path), self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
        events = (event for line in reversed(lines) for event in self._event(line))
        return next((event for event in events if event["event"] in kinds), None)

    def _event(self, line: bytes) -> Iterator[dict[str, Any]]:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event
        else:
            self.damaged += 1
