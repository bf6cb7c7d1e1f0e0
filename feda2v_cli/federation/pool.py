"""Who trains on what: every clip and sample once, the nodes that use them, and who takes part in a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.federation.inputs import Inputs, JoinedInputs, dim_of
from feda2v_cli.profile.schema import AdapterSection, NodeSection


@dataclass(frozen=True)
class Pool:
    """Embeddings that nodes refer to by their place, so that none is held twice.

    Attributes:
        embeddings: standardised, [items, tokens, dim], or where they are read.
        labels: index of each item's class, [items].
        clips: how many of the items are clips; samples come behind them.
    """

    embeddings: Inputs
    labels: Tensor
    clips: int

    def with_samples(self, embeddings: Inputs, labels: Tensor) -> "Pool":
        """The same clips, of a pool without samples, with samples behind them.

        Args:
            embeddings: standardised samples, [samples, tokens, dim], or where they are read.
            labels: index of each sample's class, [samples].
        """
        clips, device = self.embeddings, self.embeddings.device
        joined: Inputs
        if isinstance(clips, Tensor) and isinstance(embeddings, Tensor) and clips.shape[1:] == embeddings.shape[1:]:
            joined = torch.cat([clips, embeddings.to(device)])
        else:
            joined = JoinedInputs.of(clips, embeddings)
        return Pool(joined, torch.cat([self.labels, labels.to(device)]), self.clips)

    def inputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the adapter takes of a batch, by the name `input`: [..., tokens, dim].

        Args:
            batch: places of its items by the name `item`, [...].
        """
        return {"input": self.embeddings[batch["item"]]}

    def noise_width(self, deviation: float) -> int:
        """Normal numbers an item that `noisy` needs."""
        return dim_of(self.embeddings) if deviation else 0

    @staticmethod
    def noisy(embeddings: Tensor, deviation: float, noise: Tensor) -> Tensor:
        """Embeddings with noise, [items, tokens, dim], so that few clips are not learnt by heart.

        Noise on the inputs is a penalty on steep outputs (Bishop, Training with Noise is Equivalent to Tikhonov
        Regularization, 1995). The tokens of a clip get the same, as if its recording were another.

        Args:
            embeddings: standardised, [items, tokens, dim].
            deviation: of the noise, in standardised units.
            noise: standard normal, [items, `noise_width`].
        """
        return embeddings + deviation * noise[:, None, :] if deviation else embeddings


@dataclass(frozen=True)
class Node:
    """A node of the federation, as the rounds see it.

    Attributes:
        id: of the node.
        clips: places of its clips in the pool, [clips].
        clips_of_class: how many clips of each class it tells that it has, by the class's index; empty where it tells
            nobody.
        learning_rates: of its adapters, by target space.
        samples_per_class: synthetic samples of each class that it takes from the others.
        repeat_to: items that it trains on at least, its own again and again: as many optimiser steps as with samples,
            and nothing new to learn.
        title: what errors call it; "node 3" by itself.
    """

    id: int
    clips: Tensor
    clips_of_class: dict[int, int]
    learning_rates: dict[str, float]
    samples_per_class: int = 0
    repeat_to: int = 0
    title: str = ""

    def __str__(self) -> str:
        return self.title or f"node {self.id}"

    @property
    def told_clips(self) -> int:
        """How many clips it tells that it has, by which it counts; where it tells nobody, those that it has."""
        return sum(self.clips_of_class.values()) or len(self.clips)

    def items(self, samples: Tensor) -> Tensor:
        """What it trains on, as places in the pool, [items].

        Args:
            samples: places of the samples that it may use, [samples].
        """
        items = torch.cat([self.clips, samples])
        if len(items) >= self.repeat_to:
            return items
        return items.repeat(-(-self.repeat_to // len(items)))[: self.repeat_to]


def learning_rates(section: AdapterSection, node: NodeSection | None = None) -> dict[str, float]:
    """Learning rates by target space: a node's own where it has any, or the profile's."""
    return {
        "clip": (node and node.clip_learning_rate) or section.clip_learning_rate,
        "t5": (node and node.t5_learning_rate) or section.t5_learning_rate,
        "text": (node and node.text_learning_rate) or section.text_learning_rate,
    }


def number_asked(nodes: int, fraction: float) -> int:
    """How many nodes are asked in a round; at least one."""
    return max(1, round(nodes * fraction))


def participants(
    nodes: Sequence[int], fraction: float, dropout: float, seed: int, round_number: int
) -> tuple[list[int], list[int]]:
    """The nodes that answer in a round, and those that were asked and fail. Both sorted, the same for a seed.

    Args:
        nodes: ids of all nodes.
        fraction: share that is asked (McMahan et al., 2017: C).
        dropout: probability that a node that is asked fails. The failures are simulated.
        seed: of the run.
        round_number: from 1.
    """
    random = random_stream(seed, "participants", round_number)
    order = torch.randperm(len(nodes), generator=random)[: number_asked(len(nodes), fraction)]
    fails = (torch.rand(len(nodes), generator=random) < dropout).tolist()
    asked = sorted(order.tolist(), key=lambda place: nodes[place])
    answering = [nodes[place] for place in asked if not fails[place]]
    return answering, [nodes[place] for place in asked if fails[place]]
