"""Synthetic samples: what other nodes' generators make in place of the clips that may not move."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
class Samples:
    """Labelled samples.

    Attributes:
        embeddings: in the encoder's own units, [samples, tokens, dim], wherever they lie.
        labels: index of each one's class, [samples].
        nodes: node whose generator made each, [samples].
    """

    embeddings: StoredEmbeddings
    labels: Tensor
    nodes: Tensor

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
        # Samples of a class stand in the order in which they are dealt: the first ones that are usable count.
        seen = (one_hot(self.labels) * usable.unsqueeze(1)).cumsum(0)  # [samples, classes], usable up to each sample
        rank = seen.gather(1, self.labels.unsqueeze(1)).squeeze(1)  # from 1
        return (usable & (rank <= per_class)).nonzero().flatten()


def draw_samples(
    generators: Sequence[NodeGenerator],
    classes: Sequence[str],
    per_class: int,
    seed: int,
    round_number: int,
    file: Path | None = None,
) -> Samples:
    """Draw so many samples of each class that every node finds `per_class` that others have made, if others make it.

    Where several nodes' generators make a class, each gives a part. What a generator draws depends on the seed, the
    round, the generator and how much it is asked for.

    Args:
        generators: generators of all nodes, at least one.
        classes: of the federation.
        per_class: samples of a class that a node gets.
        seed: of the run.
        round_number: 0 for samples that last a whole run.
        file: where they are kept when they are too large for memory, over what was there; None keeps all in memory.
    """
    wanted: defaultdict[int, dict[str, int]] = defaultdict(dict)  # samples by source and class
    order: list[tuple[int, str, int]] = []
    for name in classes:
        for place, count in _shares(generators, name, per_class, seed, round_number).items():
            wanted[place][name] = count
    for name in classes:
        places = [place for place in wanted if name in wanted[place]]
        # Dealt in turn, so that the first samples of a class come from as many nodes as there are.
        for turn in range(max((wanted[place][name] for place in places), default=0)):
            order += [(place, name, turn) for place in places if turn < wanted[place][name]]
    places_of = {what: row for row, what in enumerate(order)}
    values = _room_for(len(order), generators[0].generator.shape, file)
    for place, counts in wanted.items():
        source = generators[place]
        rows = [places_of[place, name, turn] for name, count in counts.items() for turn in range(count)]
        labels = [name for name, count in counts.items() for _ in range(count)]
        random = random_stream(seed, "synthetic", source.node, source.key, round_number)
        done = 0
        with threads_per_operation(1):  # the same bits whatever the number of cores
            for part in source.generator.sample_in_parts(labels, random.initial_seed()):
                values[rows[done : done + len(part)]] = part.numpy()
                done += len(part)
    return Samples(
        StoredEmbeddings(values, range(len(order)), "float32"),
        torch.tensor([classes.index(name) for _, name, _ in order]),
        torch.tensor([generators[place].node for place, _, _ in order]),
    )


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


def _room_for(samples: int, shape: tuple[int, int], file: Path | None) -> npt.NDArray[np.float32]:
    """Room for samples in memory, or in a file where they are many and long."""
    size = 4 * samples * shape[0] * shape[1]
    if file is None or size <= HELD_BYTES:
        return np.empty((samples, *shape), np.float32)
    what = f"{samples} samples of {shape[0]} tokens take {size / 1e9:.1f} GB"
    take_room(file, size, what, hint=f"df -h {file.parent}, or fewer samples: --synthetic-per-class 5")
    return np.memmap(file, np.float32, "r+", shape=(samples, *shape))


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
