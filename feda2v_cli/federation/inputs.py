"""What adapters take: standardised embeddings of many items, in memory or read from the disk as they are asked for.

All tokens of 3,200 clips are 12 GB, of which a step of an adapter needs sixteen clips. What is small is standardised
once and stays in memory; what is large is mapped from its file, and a batch of it is read, standardised and moved to
the device when it is asked for. Both are asked in the same way: `inputs[places]`.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeGuard

import torch
from torch import Tensor

from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.federation.standardise import Standardisation

#: Most bytes of embeddings that stay in memory.
HELD_BYTES = 256 * 1024**2
#: Bytes of embeddings that are looked at together where all are looked at.
PART_BYTES = 128 * 1024**2


class InputsOnDisk:
    """Standardised embeddings that are read when they are asked for.

    Args:
        stored: where they lie.
        standardisation: of them.
        device: where they are wanted.
    """

    def __init__(self, stored: StoredEmbeddings, standardisation: Standardisation, device: torch.device) -> None:
        self._stored = stored
        self._standardisation = standardisation
        self.device = device

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items, tokens and dimensions."""
        return self._stored.shape

    def __getitem__(self, places: Tensor | slice) -> Tensor:
        """Some of them, float32 [*places, tokens, dim], on the device."""
        if isinstance(places, slice):
            return self._read(places)
        return self._read(places.flatten().cpu()).view(*places.shape, *self.shape[1:])

    def _read(self, places: Tensor | slice) -> Tensor:
        return self._standardisation.in_place(self._stored.read(places)).to(self.device)


class JoinedInputs:
    """Some inputs behind others. Items of one part have as many tokens as each other, those of another maybe more.

    Args:
        parts: in their order, at least one.
    """

    def __init__(self, parts: Sequence[Tensor | InputsOnDisk]) -> None:
        self.parts = tuple(parts)
        self._ends = torch.tensor(list(accumulate(len(part) for part in parts)))

    @property
    def device(self) -> torch.device:
        """Where what is asked for lies."""
        return self.parts[0].device

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, places: Tensor | slice) -> Tensor:
        """Some of them, float32 [*places, tokens, dim], on the device.

        Raises:
            ValueError: they differ in their tokens.
        """
        wanted = torch.arange(len(self))[places] if isinstance(places, slice) else places
        flat = wanted.flatten().cpu()
        of = self._parts_of(flat)
        found = torch.unique(of).tolist()
        if len({self.parts[part].shape[1] for part in found}) > 1:
            raise ValueError(f"items of {len(found)} parts whose tokens differ in number")
        first = self.parts[found[0] if found else 0]
        values = torch.empty(len(flat), *first.shape[1:], device=self.device)
        for part in found:
            own = of == part
            values[own.to(self.device)] = self.parts[part][self._within(flat[own], part)]
        return values.view(*wanted.shape, *first.shape[1:])

    def tokens_of(self, places: Tensor) -> Tensor:
        """Tokens of each of some items [places]."""
        return torch.tensor([part.shape[1] for part in self.parts])[self._parts_of(places.cpu())]

    def _parts_of(self, places: Tensor) -> Tensor:
        return torch.bucketize(places, self._ends, right=True)

    def _within(self, places: Tensor, part: int) -> Tensor:
        return places - (int(self._ends[part - 1]) if part else 0)

    @classmethod
    def of(cls, first: "Inputs", *others: "Inputs") -> "JoinedInputs":
        """All parts of some inputs."""
        return cls([part for inputs in (first, *others) for part in parts_of(inputs)])


#: Standardised embeddings [items, tokens, dim].
Inputs = Tensor | InputsOnDisk | JoinedInputs


def inputs_of(stored: StoredEmbeddings, standardisation: Standardisation, device: torch.device) -> Inputs:
    """The inputs that embeddings are: in memory when they are small, else where they lie."""
    if stored.bytes > HELD_BYTES:
        return InputsOnDisk(stored, standardisation, device)
    return standardisation.in_place(stored.read()).to(device)


def parts_of(inputs: Inputs) -> "tuple[Tensor | InputsOnDisk, ...]":
    """Inputs whose items have as many tokens each, in their order."""
    return inputs.parts if isinstance(inputs, JoinedInputs) else (inputs,)


def sorted_by_tokens(inputs: Inputs, places: Tensor) -> Tensor:
    """Items, those with the fewest tokens first, and else in their order.

    Args:
        inputs: of which they are.
        places: of the items, [places].
    """
    if not _differ(inputs):
        return places
    return places[inputs.tokens_of(places).argsort(stable=True)]


def groups_of(inputs: Inputs, places: Tensor) -> dict[int, int]:
    """How many of some items have how many tokens, by that number, in the order in which they stand.

    Args:
        inputs: of which they are.
        places: of the items, sorted by their tokens, [places].
    """
    if not _differ(inputs):
        return {int(parts_of(inputs)[0].shape[1]): len(places)}
    tokens, counts = torch.unique_consecutive(inputs.tokens_of(places), return_counts=True)
    return dict(zip(tokens.tolist(), counts.tolist(), strict=True))


def slices_of_places(inputs: Inputs, places: Tensor) -> Iterator[slice]:
    """All of some items, as many at a time as memory holds, whose tokens are as many.

    Args:
        inputs: of which they are.
        places: of the items, sorted by their tokens, [places].
    """
    start = 0
    for tokens, count in groups_of(inputs, places).items():
        at_once = max(1, PART_BYTES // max(1, 4 * tokens * dim_of(inputs)))
        end = start + count
        yield from (slice(place, min(end, place + at_once)) for place in range(start, end, at_once))
        start = end


def _differ(inputs: Inputs) -> TypeGuard[JoinedInputs]:
    """Whether some of the items have more tokens than others."""
    return isinstance(inputs, JoinedInputs) and len({part.shape[1] for part in inputs.parts}) > 1


def dim_of(inputs: Inputs) -> int:
    """Dimensions of a token."""
    return int(parts_of(inputs)[0].shape[-1])


def slices_of(inputs: Inputs, most: int) -> Iterator[slice]:
    """All of the inputs, some at a time, whose tokens are as many and which memory holds together.

    Args:
        inputs: all of them.
        most: items of a slice, whatever their size.
    """
    start = 0
    for part in parts_of(inputs):
        count = max(1, min(most, PART_BYTES // (4 * max(1, part.shape[1] * part.shape[2]))))
        end = start + len(part)
        yield from (slice(place, min(end, place + count)) for place in range(start, end, count))
        start = end
