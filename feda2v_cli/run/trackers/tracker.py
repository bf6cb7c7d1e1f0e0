"""What a tracker is, and which curves the events of a run are."""

import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from feda2v_cli.run.event import Evaluated, Event, FederationRoundEnded, PicturesScored, RoundEnded

#: The model of a RUN 1 event: a node, and which of its generators.
_GENERATOR = re.compile(r"node (\d+)(?: (.+))?")


class Tracker(Protocol):
    """Draws the curves of one run. Whatever it raises ends it, and never the run.

    Attributes:
        description: for the user: where the curves are to be seen.
    """

    @property
    def description(self) -> str: ...  # noqa: D102 - described above

    def log(self, round_number: int, curves: Mapping[str, float]) -> None:
        """Draw points.

        Args:
            round_number: where they lie on the axis of all curves.
            curves: their heights by the name of the curve.
        """
        ...

    def finish(self, *, well: bool) -> None:
        """Bring everything to where it is to be seen.

        Args:
            well: whether the run has ended well.
        """
        ...


def curves_of(event: Event) -> tuple[int, dict[str, float]] | None:
    """The points that an event draws; None when it draws none.

    Returns:
        The round, and values by the names that curves have: `train/node0/loss_clip`, `server/accuracy`; those of a
        baseline behind its name, `baseline fedavg/server/accuracy`.
    """
    match event:
        case FederationRoundEnded():
            points = {f"train/loss_{space}": value for space, value in event.loss.items()}
            for node, losses in event.node_loss.items():
                points |= {f"train/node{node}/loss_{space}": value for space, value in losses.items()}
            points |= {"train/nodes": len(event.present), "train/seconds": event.seconds}
            return event.round, _of(event.federation, points)
        case Evaluated():
            points = {"server/accuracy": event.accuracy}
            points |= {f"server/loss_{space}": value for space, value in event.loss.items()}
            accuracies = {node: value for node, value in event.node_accuracy.items() if value is not None}
            points |= {f"server/node{node}/accuracy": value for node, value in accuracies.items()}
            return event.round, _of(event.federation, points)
        case RoundEnded():
            points = {}
            for model, losses in event.losses.items():
                points |= {f"train/{_model(model)}/{name}": value for name, value in losses.items()}
            return event.round, points
        case PicturesScored(round=int(number)):
            return number, dict(_numbers("images", event.figures))
    return None


def _of(federation: str, points: Mapping[str, float]) -> dict[str, float]:
    return {name if federation == "chosen" else f"{federation}/{name}": value for name, value in points.items()}


def _model(name: str) -> str:
    """`node0` or `node0/dog` of `node 0` or `node 0 dog`."""
    found = _GENERATOR.fullmatch(name)
    if found is None:
        return name
    return f"node{found[1]}" + (f"/{found[2]}" if found[2] else "")


def _numbers(place: str, figures: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _numbers(f"{place}/{name}", value)
        elif isinstance(value, int | float):
            yield f"{place}/{name}", value
