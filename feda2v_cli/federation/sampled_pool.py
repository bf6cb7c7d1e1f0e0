"""Clips, and behind them the samples of a round. Whoever has the generators draws the same ones, on any machine."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from feda2v_cli.federation.inputs import JoinedInputs, inputs_of, sorted_by_tokens
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.synthetic import Deal, NodeGenerator, deal_samples, draw_samples


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

    def deal(self, number: int) -> Deal:
        """Which samples there are to be in a round.

        Args:
            number: of the round, from 1.
        """
        return deal_samples(self.generators, self.classes, self.per_class, self.seed, self.drawn_in(number))

    def drawn_in(self, number: int) -> int:
        """The round whose samples a round has; 0 for those of the whole run."""
        return number if self.every_round else 0

    def of_node(self, deal: Deal, node: Node) -> Tensor:
        """Places of the samples that a node trains on among those of a deal, [samples]."""
        if "local" not in self.uses:
            return _nothing()
        if self.by_class:
            return deal.without_classes(node.clips_of_class, node.samples_per_class)
        return deal.for_node(node.id, node.samples_per_class)


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
        self._deal: Deal | None = None
        self._drawn: int | None = None
        self._items: dict[int, Tensor] = {}

    def draw(self, number: int) -> None:
        """Have the samples of a round, or of the whole run.

        Args:
            number: of the round, from 1.
        """
        sampling = self._sampling
        wanted = sampling.drawn_in(number)
        if not sampling.uses or self._drawn == wanted:
            return
        self.pool, self._deal = self._clips, None  # the file of the samples is written over
        deal = sampling.deal(number)
        samples = draw_samples(sampling.generators, sampling.classes, deal, sampling.seed, wanted, self._file)
        device = self._clips.labels.device
        parts = [inputs_of(part, sampling.standardisation, device) for part in samples]
        self.pool = self._clips.with_samples(JoinedInputs.of(*parts) if parts[1:] else parts[0], deal.labels)
        self._deal, self._drawn, self._items = deal, wanted, {}

    def items_of(self, node: Node) -> Tensor:
        """What a node trains on, its clips, and samples that others have made.

        As places in the pool, [items], those with the fewest tokens first.
        """
        if node.id not in self._items:
            deal = self._deal
            samples = _nothing() if deal is None else self._sampling.of_node(deal, node) + self.pool.clips
            self._items[node.id] = sorted_by_tokens(self.pool.embeddings, node.items(samples))
        return self._items[node.id]

    def for_server(self) -> Tensor:
        """Samples for the server, as places in the pool, [samples], those with the fewest tokens first."""
        if self._deal is None:
            return _nothing()
        places = self._deal.for_node(None, self._sampling.per_class) + self.pool.clips
        return sorted_by_tokens(self.pool.embeddings, places)


def _nothing() -> Tensor:
    return torch.zeros(0, dtype=torch.long)
