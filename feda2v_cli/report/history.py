"""What happened in a run, from its events: curves, findings, warnings."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from feda2v_cli.run.events_file import EventsFile
from feda2v_cli.run.record import RunRecord

#: The federation of a run that its profile asks for, among those that it is compared with.
CHOSEN = "chosen"
#: A run that warns of every clip would make a page that nobody reads.
MOST_TEXTS = 100

_ROUNDS_END = 2**31
#: Which chart, and which line of it.
CurveKey = tuple[str, str, str]


@dataclass
class Curve:
    """Values of a line, as they come: a run that was resumed may tell a round twice."""

    rounds: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def points(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Rounds, ascending, and the value that each was told last; what is not finite is left out."""
        rounds = np.frombuffer(self.rounds, np.int64)[::-1]
        values = np.frombuffer(self.values, np.float64)[::-1]
        kept, places = np.unique(rounds, return_index=True)
        latest = values[places]
        finite = np.isfinite(latest)
        return kept[finite], latest[finite]


@dataclass
class History:
    """What happened in a run.

    Attributes:
        curves: by chart (`training`, `loss` or `accuracy`), what of it (a target space or a loss), and line.
        findings: of the verifier, as JSON has them.
        warnings: texts.
        damaged: lines of the file that are no event.
    """

    curves: dict[CurveKey, Curve] = field(default_factory=dict)
    findings: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    damaged: int = 0

    @classmethod
    def of(cls, record: RunRecord) -> "History":
        """The history of a run, read once from start to end.

        Raises:
            FailedError: the events are there and cannot be read.
        """
        history = cls()
        events = EventsFile(record.path / "metrics.jsonl")
        for event in events:
            take = _TAKES.get(event["event"])
            if take is None:
                continue
            try:
                take(history, event)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                history.damaged += 1
        history.damaged += events.damaged
        history.curves = {key: curve for key, curve in history.curves.items() if len(curve.points()[0])}
        return history

    def _add(self, key: CurveKey, number: int, value: Any) -> None:
        if value is None:
            return
        curve = self.curves.get(key)
        if curve is None:
            curve = self.curves[key] = Curve()
        curve.values.append(value)  # fails when it is no number
        curve.rounds.append(number)

    def _take_training(self, event: Mapping[str, Any]) -> None:
        number = _round_of(event)
        for model, losses in event["losses"].items():
            for name, value in losses.items():
                self._add(("training", name, model), number, value)

    def _take_federation(self, event: Mapping[str, Any]) -> None:
        federation, number = event["federation"], _round_of(event)
        for space, value in event["loss"].items():
            self._add(("loss", space, _line_of(federation)), number, value)
        if federation == CHOSEN:
            for node, losses in event.get("node_loss", {}).items():
                line = f"node {node}"
                for space, value in losses.items():
                    self._add(("loss", space, line), number, value)

    def _take_evaluation(self, event: Mapping[str, Any]) -> None:
        federation, number = event["federation"], _round_of(event)
        self._add(("accuracy", "", _line_of(federation)), number, event["accuracy"])
        if federation != CHOSEN:
            return
        for node, value in event["node_accuracy"].items():
            self._add(("accuracy", "", f"node {node}"), number, value)
        for space, value in event["loss"].items():
            self._add(("loss", space, HELD_OUT), number, value)

    def _take_finding(self, event: Mapping[str, Any]) -> None:
        if len(self.findings) < MOST_TEXTS:
            self.findings.append(
                {name: str(event[name] or "") for name in ("code", "severity", "path", "message", "hint")}
            )

    def _take_warning(self, event: Mapping[str, Any]) -> None:
        if len(self.warnings) < MOST_TEXTS:
            self.warnings.append(str(event["text"]))


ALL_NODES = "all nodes"
HELD_OUT = "clips held out"

_TAKES: Mapping[str, Callable[[History, Mapping[str, Any]], None]] = {
    "round_ended": History._take_training,
    "federation_round_ended": History._take_federation,
    "evaluated": History._take_evaluation,
    "found": History._take_finding,
    "warned": History._take_warning,
}


def _round_of(event: Mapping[str, Any]) -> int:
    number = event["round"]
    if not isinstance(number, int) or not 0 <= number < _ROUNDS_END:
        raise ValueError(f"{number} is no round")
    return number


def _line_of(federation: str) -> str:
    return ALL_NODES if federation == CHOSEN else str(federation)
