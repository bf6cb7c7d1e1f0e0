"""What travels between nodes and server, and nothing else does.

A letter has plain values, arrays and checkpoints. `CONTENT` says for each kind which of them it may have, by name: what
does not stand there is refused by whoever writes the letter, and by whoever reads it.

No clip, no embedding of a clip and no path is among them. The sums of `joined` are those of all clips of a node
together (`federation.standardise.Sums`), and are sent when they are asked for: where samples give them, they are not.
Counts of clips that train are rounded where those of the node's generators are (`checkpoint.round_counts`), and sums
are of as many.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.errors import FailedError

_SPACE = "(clip|t5)"


@dataclass(frozen=True)
class Content:
    """What a kind of letter may have.

    Attributes:
        values: names of plain values.
        arrays: patterns of the names of arrays, each with its type.
        checkpoints: whether generators' checkpoints may go with it.
    """

    values: frozenset[str]
    arrays: Mapping[str, str] = field(default_factory=dict)
    checkpoints: bool = False


#: By kind. Every second kind is a node's answer to the one before.
CONTENT: Mapping[str, Content] = {
    # Before the first round: who are you, and what do you have?
    "join": Content(frozenset({"generators", "sums", "classes"})),
    "joined": Content(
        frozenset({"node", "versions", "encoder", "shape", "targets", "classes", "clips", "held_out", "tokens",
                   "shares"}),
        {"sums.(total|squares)": "float64"},
        checkpoints=True,
    ),
    # A round. What lasts a whole run (`setup`) goes along until a node has it.
    "train": Content(
        frozenset({"run", "round", "setup"}),
        {f"start.{_SPACE}": "float32", "standardise.(mean|scale)": "float32"},
        checkpoints=True,
    ),
    "trained": Content(frozenset({"losses", "steps", "seconds"}), {f"trained.{_SPACE}": "float32"}),
    # How good are these adapters for the clips that you hold out?
    "evaluate": Content(
        frozenset({"run", "setup"}),
        {rf"adapter\.[0-9]+\.{_SPACE}": "float32", "standardise.(mean|scale)": "float32"},
        checkpoints=True,
    ),
    "evaluated": Content(frozenset({"right", "clips", "errors", "cosines"}), {"confusion": "int64"}),
    # A node cannot or may not do what it is asked, or lacks the setup.
    "refused": Content(frozenset({"reason"})),
    "unprepared": Content(frozenset()),
}  # fmt: skip


class LetterError(FailedError):
    """A letter that has what it may not have, or lacks what it must have."""


@dataclass(frozen=True)
class Letter:
    """A message.

    Attributes:
        kind: of `CONTENT`.
        values: plain values by name, as JSON has them.
        arrays: by name.
        checkpoints: whole files.

    Raises:
        LetterError: it has what its kind may not have.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Tensor] = field(default_factory=dict)
    checkpoints: Sequence[bytes] = ()

    def __post_init__(self) -> None:
        allowed = CONTENT.get(self.kind)
        if allowed is None:
            raise LetterError(f"a letter of an unknown kind: {self.kind}")
        strange = [name for name in self.values if name not in allowed.values]
        for name, array in self.arrays.items():
            kinds = [kind for pattern, kind in allowed.arrays.items() if re.fullmatch(pattern, name)]
            if [str(array.dtype).removeprefix("torch.")] != kinds:
                strange.append(f"{name} ({array.dtype})")
        if self.checkpoints and not allowed.checkpoints:
            strange.append(f"{len(self.checkpoints)} checkpoints")
        if strange:
            raise LetterError(f"a letter {self.kind} may not have {', '.join(strange)}")

    @property
    def bytes(self) -> int:
        """How large it is, about: without the few bytes around its parts."""
        return (
            len(json.dumps(self.values))
            + sum(array.numel() * array.element_size() for array in self.arrays.values())
            + sum(map(len, self.checkpoints))
        )

    def value(self, name: str) -> Any:
        """A plain value.

        Raises:
            LetterError: it is not there.
        """
        if name not in self.values:
            raise LetterError(f"a letter {self.kind} without {name}")
        return self.values[name]

    def array(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """An array.

        Raises:
            LetterError: it is not there, has another shape, or is not finite.
        """
        found = self.arrays.get(name)
        if found is None:
            raise LetterError(f"a letter {self.kind} without {name}")
        if tuple(found.shape) != shape:
            raise LetterError(f"{name} has shape {list(found.shape)}, expected {list(shape)}")
        if not found.isfinite().all():
            raise LetterError(f"{name} is NaN or infinite")
        return found


def to_record(letter: Letter) -> Any:
    """A letter as Flower sends it, a RecordDict."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

    plain: dict[str, Any] = {"kind": letter.kind, "values": json.dumps(letter.values)}
    if letter.checkpoints:
        plain["checkpoints"] = list(letter.checkpoints)
    arrays = {name: Array(array.contiguous().numpy()) for name, array in letter.arrays.items()}
    return RecordDict({"letter": ConfigRecord(plain), "arrays": ArrayRecord(arrays)})


def from_record(record: Any) -> Letter:
    """The letter in what Flower has brought.

    Raises:
        LetterError: there is none, or it has what it may not have.
    """
    try:
        if sorted(record) != ["arrays", "letter"]:
            raise LetterError(f"a message with {', '.join(sorted(record))}")
        plain = dict(record["letter"])
        values = json.loads(plain.pop("values"))
        kind, checkpoints = plain.pop("kind"), plain.pop("checkpoints", [])
        if plain or not isinstance(values, dict) or not all(isinstance(part, bytes) for part in checkpoints):
            raise LetterError("a message that is no letter")
        # A copy: Flower's arrays are read-only.
        arrays = {name: torch.from_numpy(np.array(array.numpy())) for name, array in record["arrays"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LetterError(f"a message that cannot be read — {error}") from error
    return Letter(kind, values, arrays, checkpoints)
