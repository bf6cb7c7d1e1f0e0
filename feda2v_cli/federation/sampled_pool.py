"""Clips, and behind them the samples of a round. Whoever has the generators draws the same ones, on any machine."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from feda2v_cli.federation.inputs import inputs_of
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.synthetic import NodeGenerator, Samples, draw_samples


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn.

    Attributes:
        generators: of all nodes; empty when no samples are used.
        classes: of the federation, sorted.
        per_class: most samples of a class that anyone gets.
        uses: what they are for: local, server, kd.
        every_round: whether every round has samples of its own.
        by_class: whether a node takes samples of the classes that it does not hold, whoever trained the generators;
            else those that other nodes' generators make.
        seed: of the run.
        standardisation: of embeddings.
    """

    generators: tuple[NodeGenerator, ...]
    classes: tuple[str, ...]
    per_class: int
    uses: tuple[str, ...]
    every_round: bool
    by_class: bool
    seed: int
    standardisation: Standardisation


class SampledPool:
    """A pool whose samples change from round to round.

    Args:
        clips: those of whoever draws; the server of several machines has none.
        sampling: how samples are drawn.
        file: where samples are kept that are too large for memory; None keeps all in memory.

    Attributes:
        pool: the clips, and the samples that were drawn last.
    """

    def __init__(self, clips: Pool, sampling: Sampling, file: Path | None = None) -> None:
        self.pool = clips
        self._clips = clips
        self._sampling = sampling
        self._file = file
        self._samples: Samples | None = None
        self._drawn: int | None = None
        self._items: dict[int, Tensor] = {}

    def draw(self, number: int) -> None:
        """Have the samples of a round, or of the whole run.

        Args:
            number: of the round, from 1.
        """
        sampling = self._sampling
        wanted = number if sampling.every_round else 0
        if not sampling.uses or self._drawn == wanted:
            return
        self.pool, self._samples = self._clips, None  # whose file is written over
        samples = draw_samples(
            sampling.generators, sampling.classes, sampling.per_class, sampling.seed, wanted, self._file
        )
        inputs = inputs_of(samples.embeddings, sampling.standardisation, self._clips.labels.device)
        self.pool = self._clips.with_samples(inputs, samples.labels)
        self._samples, self._drawn, self._items = samples, wanted, {}

    def items_of(self, node: Node) -> Tensor:
        """What a node trains on, as places in the pool, [items]: its clips, and samples that others have made."""
        if node.id not in self._items:
            self._items[node.id] = node.items(self._samples_of(node))
        return self._items[node.id]

    def for_server(self) -> Tensor:
        """Samples for the server, as places in the pool, [samples]."""
        if self._samples is None:
            return _nothing()
        return self._samples.for_node(None, self._sampling.per_class) + self.pool.clips

    def _samples_of(self, node: Node) -> Tensor:
        if self._samples is None or "local" not in self._sampling.uses:
            return _nothing()
        if self._sampling.by_class:
            places = self._samples.without_classes(node.clips_of_class, node.samples_per_class)
        else:
            places = self._samples.for_node(node.id, node.samples_per_class)
        return places + self.pool.clips


def _nothing() -> Tensor:
    return torch.zeros(0, dtype=torch.long)
