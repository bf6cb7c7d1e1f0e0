"""What happens in a run, as it happens. The console and the metrics file listen."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened. Its name in files is the class's, with underscores."""

    @property
    def kind(self) -> str:
        """Like `round_ended`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def fields(self) -> dict[str, Any]:
        """Its values, as JSON has them."""
        return dataclasses.asdict(self)


Listener = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """The listener of those who do not want to know."""


@dataclass(frozen=True)
class Noted(Event):
    """Something that the user should know; nothing is wrong."""

    text: str


@dataclass(frozen=True)
class Warned(Event):
    """Something that may be wrong."""

    text: str


@dataclass(frozen=True)
class Found(Warned):
    """The verifier has found something that the run can live with.

    Attributes:
        text: all of it, in one line.
        code: like FA016.
        name: the code in words.
        severity: warning, or error.
        path: what it is about.
        message: what is wrong.
        hint: the command that mends it.
    """

    code: str
    name: str
    severity: str
    path: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class RunStarted(Event):
    """A run has its directory."""

    run_dir: str


@dataclass(frozen=True)
class RunResumed(Event):
    """A run goes on after it was interrupted."""

    run_dir: str
    rounds_done: int


@dataclass(frozen=True)
class ClipsEmbedded(Event):
    """So many clips of all have their embedding."""

    done: int
    total: int


@dataclass(frozen=True)
class EpochEnded(Event):
    """Progress, in clips that have been seen by a model that trains on them.

    Attributes:
        seen: clips times epochs so far.
        total: of the whole run.
    """

    round: int
    epoch: int
    seen: int
    total: int


@dataclass(frozen=True)
class RoundEnded(Event):
    """A stack of models has finished a round.

    Attributes:
        losses: by model, then by name.
    """

    round: int
    rounds: int
    stack: int
    stacks: int
    seconds: float
    losses: dict[str, dict[str, float]]


@dataclass(frozen=True)
class StackNarrowed(Event):
    """Memory ran out: fewer models are trained at once."""

    models: int
    width: int


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint is on disk."""

    path: str
    bytes: int


@dataclass(frozen=True)
class FederationRoundEnded(Event):
    """Nodes and server have finished a round.

    Attributes:
        federation: which of the run's federations; the profile's is `chosen`.
        present: ids of the nodes that took part.
        failed: ids of the nodes that were asked and did not answer.
        steps: optimiser steps of all nodes together.
        loss: mean of the nodes' losses, by target space.
        node_loss: loss of each node that trained, by its id and by target space.
    """

    federation: str
    round: int
    rounds: int
    present: list[int]
    failed: list[int]
    steps: int
    seconds: float
    loss: dict[str, float]
    node_loss: dict[str, dict[str, float]]


@dataclass(frozen=True)
class LettersExchanged(Event):
    """Nodes on other machines were asked something.

    Attributes:
        what: it was about, like `round 3`.
        round: its number; None outside of rounds.
        nodes: that were asked.
        sent_bytes: to all of them.
        received_bytes: from all of them.
        seconds: until the last answer.
        computing_seconds: of the node that computed longest.
    """

    what: str
    round: int | None
    nodes: int
    sent_bytes: int
    received_bytes: int
    seconds: float
    computing_seconds: float


@dataclass(frozen=True)
class RoundSkipped(Event):
    """Too few nodes answered in a round: nothing has changed."""

    federation: str
    round: int
    present: list[int]
    quorum: int


@dataclass(frozen=True)
class PictureMade(Event):
    """A picture is in its album.

    Attributes:
        path: the file.
        made: whether it was made now; False when it was there already.
        done: how many of all.
    """

    path: str
    made: bool
    done: int
    total: int
    seconds: float


@dataclass(frozen=True)
class PicturesScored(Event):
    """What is known of pictures as a whole.

    Attributes:
        round: of the federation; None when they were made after one.
        figures: by what they were made of, then by name.
    """

    round: int | None
    figures: dict[str, Any]


@dataclass(frozen=True)
class Evaluated(Event):
    """The adapters were asked for the classes of the clips that are held out.

    Attributes:
        accuracy: retrieval accuracy over all classes.
        node_accuracy: the same for the clips of each node.
        loss: on these clips, by target space.
    """

    federation: str
    round: int
    rounds: int
    accuracy: float
    node_accuracy: dict[str, float | None]
    loss: dict[str, float]
