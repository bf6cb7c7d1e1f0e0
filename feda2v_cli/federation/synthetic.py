"""Synthetic samples: what other nodes' generators make in place of the clips that may not move."""

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.federation.disk_room import take_room
from feda2v_cli.federation.inputs import HELD_BYTES
from feda2v_cli.federation.standardise import Standardisation, Sums
from feda2v_cli.generator.generator import Generator
from feda2v_cli.threads import threads_per_operation


@dataclass(frozen=True)
class NodeGenerator:
    """A generator of a node.

    Attributes:
        node: whose clips trained it.
        key: its generator key.
        generator: draws labelled samples.
    """

    node: int
    key: str | None
    generator: Generator


@dataclass(frozen=True)
class Deal:
    """Which samples there are to be, those with the fewest tokens first.

    Attributes:
        makers: place of the generator of each among all, [samples].
        labels: index of each one's class, [samples].
        nodes: node whose generator makes each, [samples].
        tokens: of each, as many as its generator makes, [samples].
        turns: their places in the order in which they are dealt, [samples].
    """

    makers: Tensor
    labels: Tensor
    nodes: Tensor
    tokens: Tensor
    turns: Tensor

    def for_node(self, node: int | None, per_class: int) -> Tensor:
        """Places of the samples that a node may use, [at most classes × per_class], the same number for each class.

        Args:
            node: the node; None for the server, which has no generator of its own.
            per_class: most samples of a class.
        """
        return self._first_of_each_class(self.nodes != (-1 if node is None else node), per_class)

    def without_classes(self, labels: Collection[int], per_class: int) -> Tensor:
        """Places of the samples of all classes but some, [at most classes × per_class].

        Args:
            labels: indices of the classes that are left out.
            per_class: most samples of a class.
        """
        return self._first_of_each_class(
            ~torch.isin(self.labels, torch.tensor(sorted(labels), dtype=torch.long)), per_class
        )

    def _first_of_each_class(self, usable: Tensor, per_class: int) -> Tensor:
        # Of the samples of a class, in the order in which they are dealt, the first ones that are usable count.
        labels, usable = self.labels[self.turns], usable[self.turns]
        seen = (one_hot(labels) * usable.unsqueeze(1)).cumsum(0)  # [samples, classes], usable up to each sample
        rank = seen.gather(1, labels.unsqueeze(1)).squeeze(1)  # from 1
        return self.turns[usable & (rank <= per_class)]


def deal_samples(
    generators: Sequence[NodeGenerator], classes: Sequence[str], per_class: int, seed: int, round_number: int
) -> Deal:
    """So many samples of each class that every node finds `per_class` that others have made, if others make it.

    Where several nodes' generators make a class, each gives a part.

    Args:
        generators: generators of all nodes, at least one.
        classes: of the federation.
        per_class: samples of a class that a node gets.
        seed: of the run.
        round_number: 0 for samples that last a whole run.
    """
    order: list[tuple[int, int]] = []  # generator and class
    shares = [_shares(generators, name, per_class, seed, round_number) for name in classes]
    able = dict.fromkeys(place for of_class in shares for place in of_class)
    for label, of_class in enumerate(shares):
        places = [place for place in able if place in of_class]
        # Dealt in turn, so that the first samples of a class come from as many nodes as there are.
        for turn in range(max(of_class.values(), default=0)):
            order += [(place, label) for place in places if turn < of_class[place]]
    makers, labels = torch.tensor(order, dtype=torch.long).view(-1, 2).T
    tokens = torch.tensor([source.generator.shape[0] for source in generators])[makers]
    by_tokens = tokens.argsort(stable=True)
    makers = makers[by_tokens]
    nodes = torch.tensor([source.node for source in generators])[makers]
    return Deal(makers, labels[by_tokens], nodes, tokens[by_tokens], by_tokens.argsort())


def draw_samples(
    generators: Sequence[NodeGenerator],
    classes: Sequence[str],
    deal: Deal,
    seed: int,
    round_number: int,
    file: Path | None = None,
) -> tuple[StoredEmbeddings, ...]:
    """The samples of a deal in the encoder's own units, [samples, tokens, dim] for each number of tokens.

    What a generator draws depends on the seed, the round, the generator and how much it is asked for.

    Args:
        generators: generators of all nodes, at least one.
        classes: of the federation.
        deal: which samples are drawn, at least one.
        seed: of the run.
        round_number: 0 for samples that last a whole run.
        file: where they are kept when they are too large for memory; nobody finds it there. None keeps all in memory.
    """
    dim = generators[0].generator.shape[1]
    tokens, counts = (part.tolist() for part in torch.unique_consecutive(deal.tokens, return_counts=True))
    parts = _room_for([(samples, own, dim) for own, samples in zip(tokens, counts, strict=True)], file)
    starts = list(accumulate(counts, initial=0))
    for place in torch.unique(deal.makers).tolist():
        source = generators[place]
        own = (deal.makers == place).nonzero().flatten()
        part_of_source = tokens.index(source.generator.shape[0])
        values, rows = parts[part_of_source], (own - starts[part_of_source]).tolist()
        random = random_stream(seed, "synthetic", source.node, source.key, round_number)
        names = [classes[label] for label in deal.labels[own].tolist()]
        done = 0
        with threads_per_operation(1):  # the same bits whatever the number of cores
            for part in source.generator.sample_in_parts(names, random.initial_seed()):
                values[rows[done : done + len(part)]] = part.numpy()
                done += len(part)
    return tuple(StoredEmbeddings(values, range(len(values)), "float32") for values in parts)


def standardised_by_samples(generators: Sequence[NodeGenerator], seed: int) -> Standardisation:
    """What embeddings are standardised with where clips give no sums: the figures of samples of all generators.

    Args:
        generators: of all nodes.
        seed: of the run.
    """
    with threads_per_operation(1):  # the same bits whatever the number of cores
        return Standardisation.of(
            Sums.of_samples(
                source.generator, random_stream(seed, "standardise", source.node, source.key).initial_seed()
            )
            for source in generators
        )


def _room_for(shapes: Sequence[tuple[int, int, int]], file: Path | None) -> list[npt.NDArray[np.float32]]:
    """Room for samples in memory, or in a file where they are many and long, one part behind the other.

    Args:
        shapes: of the parts, [samples, tokens, dim].
        file: where they are kept when they are too large for memory.
    """
    ends = list(accumulate(math.prod(shape) for shape in shapes))
    size = 4 * ends[-1]
    room: npt.NDArray[np.float32]
    if file is None or size <= HELD_BYTES:
        room = np.empty(ends[-1], np.float32)
    else:
        what = ", ".join(f"{samples} samples of {tokens} tokens" for samples, tokens, _ in shapes)
        hint = f"df -h {file.parent}, or fewer samples: --synthetic-per-class 5"
        try:
            take_room(file, size, f"{what} take {size / 1e9:.1f} GB", hint)
            room = np.memmap(file, np.float32, "r+", shape=(ends[-1],))
        finally:
            # What is mapped stays until nobody has it any more, a killed run included; Windows keeps the name too.
            with suppress(PermissionError):
                file.unlink(missing_ok=True)
    return [part.reshape(shape) for part, shape in zip(np.split(room, ends[:-1]), shapes, strict=True)]


def _shares(
    generators: Sequence[NodeGenerator], name: str, per_class: int, seed: int, round_number: int
) -> dict[int, int]:
    """How many samples of a class each generator gives, by its place; few generators a round where many could."""
    able = [place for place, source in enumerate(generators) if name in source.generator.classes]
    if not able or not per_class:
        return {}
    nodes = sorted({generators[place].node for place in able})
    if len(nodes) > per_class + 1:
        order = torch.randperm(len(nodes), generator=random_stream(seed, "makers", name, round_number))
        kept = {nodes[index] for index in order[: per_class + 1].tolist()}
        able = [place for place in able if generators[place].node in kept]
    # Whoever is left out, the others together give enough.
    return dict.fromkeys(able, -(-per_class // max(1, len({generators[place].node for place in able}) - 1)))
