"""Batches of one epoch for every model of a stack, with masks where data sets differ in size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def steps_per_epoch(items: int, batch_size: int, most: int | None = None) -> int:
    """Steps that a data set takes; its batches differ in size by one item at most.

    Args:
        items: of the data set.
        batch_size: items of a step.
        most: steps; where there would be more of them, batches are larger instead. None for any number.
    """
    return min(-(-items // batch_size), most or items)


def in_turn(steps: Sequence[int]) -> list[tuple[int, int]]:
    """The steps of several groups, evenly mixed, so that none has the last word: group and step of each.

    >>> in_turn([4, 2])
    [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (0, 3)]

    Args:
        steps: of each group.
    """
    # Step i of n of a group stands at (2 i + 1) / n of the way, and of two at one place the first group's comes first.
    places = [
        ((2 * step + 1) / of_group, group, step) for group, of_group in enumerate(steps) for step in range(of_group)
    ]
    return [(group, step) for _, group, step in sorted(places)]


@dataclass(frozen=True)
class EpochBatches:
    """What every model of a stack sees in one epoch.

    Attributes:
        index: [steps, models, batch], the items; where `mask` is 0, any item.
        mask: [steps, models, batch], 1 where an item counts and 0 where it only fills the batch.
        noise: [steps, models, batch, noise], standard normal, 0 beyond a model's own size.
    """

    index: Tensor
    mask: Tensor
    noise: Tensor


def draw_epoch(
    streams: Sequence[torch.Generator],
    sizes: Sequence[int],
    noise_sizes: Sequence[int],
    steps: int,
    largest: int | None = None,
) -> EpochBatches:
    """Draw an epoch's batches and noise, each model's from its own stream.

    Args:
        streams: one a model; they move on.
        sizes: items of each model's data set.
        noise_sizes: normal numbers that each model needs an item.
        steps: steps of the epoch, the same for all.
        largest: items of the largest data set that batches have room for; None for the largest of these.
    """
    models, batch = len(streams), -(-(largest or max(sizes)) // steps)
    dealt = torch.zeros(models, batch * steps, dtype=torch.long)
    noise = torch.zeros(models, steps, batch, max(noise_sizes))
    # Nothing but the drawing goes model by model, for each has its own stream.
    for model, (random, size, noise_size) in enumerate(zip(streams, sizes, noise_sizes, strict=True)):
        torch.randperm(size, generator=random, out=dealt[model, :size])
        if noise_size:
            width = -(-size // steps)
            noise[model, :, :width, :noise_size] = torch.randn(steps, width, noise_size, generator=random)
    mask = torch.arange(batch * steps) < torch.tensor(sizes).unsqueeze(1)
    # Items are dealt like cards, so that the steps' batches differ by one item at most.
    index, mask = (part.view(models, batch, steps).permute(2, 0, 1).contiguous() for part in (dealt, mask.float()))
    return EpochBatches(index, mask, noise.transpose(0, 1))
