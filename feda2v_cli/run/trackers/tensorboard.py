"""TensorBoard: a file of events in the run directory, which `tensorboard --logdir runs` shows."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feda2v_cli.profile.schema import TrackingSection

PACKAGE = "tensorboard"


def check(section: TrackingSection) -> None:
    """Nothing but the package is needed."""


class TensorBoard:
    """Writes TensorBoard's own file. PyTorch's writer does the same, and takes six seconds to import.

    Args:
        section: nothing of it matters.
        directory: of the run.
        name: of the run; the directory tells it.
        config: of the run; `resolved.toml` beside the file holds it.
    """

    def __init__(
        self,
        section: TrackingSection,  # noqa: ARG002 - what all trackers are given
        directory: Path,
        name: str,  # noqa: ARG002
        config: Mapping[str, Any],  # noqa: ARG002
    ) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event: Any = event_pb2.Event
        self._summary: Any = summary_pb2.Summary
        self._place = directory / "tensorboard"
        self._file: Any = EventFileWriter(str(self._place))

    @property
    def description(self) -> str:
        """How to look at it."""
        return f"curves: tensorboard --logdir {self._place}"

    def log(self, round_number: int, curves: Mapping[str, float]) -> None:
        """Draw points, which are on the disk when this ends."""
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in curves.items()]
        event = self._event(wall_time=time.time(), step=round_number, summary=self._summary(value=values))
        self._file.add_event(event)
        self._file.flush()

    def finish(self, *, well: bool) -> None:  # noqa: ARG002 - TensorBoard knows no such thing
        """Close the file."""
        self._file.close()
