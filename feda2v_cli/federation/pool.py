"""What there is to train on: every clip and sample once, and which of them each node may use."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pool:
    """Embeddings that nodes refer to by their place, so that none is held twice.

    Attributes:
        embeddings: standardised, [items, tokens, dim].
        labels: index of each item's class, [items].
        clips: how many of the items are clips; samples come behind them.
    """

    embeddings: Tensor
    labels: Tensor
    clips: int

    def with_samples(self, embeddings: Tensor, labels: Tensor) -> "Pool":
        """The same clips with other samples behind them.

        Args:
            embeddings: standardised samples, [samples, tokens, dim].
            labels: index of each sample's class, [samples].
        """
        clips = self.clips
        device = self.embeddings.device
        return Pool(
            torch.cat([self.embeddings[:clips], embeddings.to(device)]),
            torch.cat([self.labels[:clips], labels.to(device)]),
            clips,
        )

    def noise_width(self, deviation: float) -> int:
        """Normal numbers an item that `noisy` needs."""
        return self.embeddings.shape[-1] if deviation else 0

    def noisy(self, items: Tensor, deviation: float, noise: Tensor) -> Tensor:
        """Embeddings with noise, [items, tokens, dim], so that few clips are not learnt by heart.

        Noise on the inputs is a penalty on steep outputs (Bishop, Training with Noise is Equivalent to Tikhonov
        Regularization, 1995). The tokens of a clip get the same, as if its recording were another.

        Args:
            items: places, [items].
            deviation: of the noise, in standardised units.
            noise: standard normal, [items, `noise_width`].
        """
        embeddings = self.embeddings[items]
        return embeddings + deviation * noise[:, None, :] if deviation else embeddings


@dataclass(frozen=True)
class Node:
    """A node of the federation, as the rounds see it.

    Attributes:
        id: of the node.
        clips: places of its clips in the pool, [clips].
        clips_of_class: its clips of each class, by the class's index.
        learning_rates: of its adapters, by target space.
        samples_per_class: synthetic samples of each class that it takes from the others.
        repeat_to: items that it trains on at least, its own again and again: as many optimiser steps as with samples,
            and nothing new to learn.
    """

    id: int
    clips: Tensor
    clips_of_class: dict[int, int]
    learning_rates: dict[str, float]
    samples_per_class: int = 0
    repeat_to: int = 0

    def items(self, samples: Tensor) -> Tensor:
        """What it trains on, as places in the pool, [items].

        Args:
            samples: places of the samples that it may use, [samples].
        """
        items = torch.cat([self.clips, samples])
        if len(items) >= self.repeat_to:
            return items
        return items.repeat(-(-self.repeat_to // len(items)))[: self.repeat_to]
