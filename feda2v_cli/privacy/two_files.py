"""How often two files that differ by one clip tell which clip it is.

Of a mean m of n clips and the mean m' of the other n − 1, the clip is n m − (n − 1) m'. It is told when of all clips
that trained, it is the nearest to that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.generator.generator import Generator
from feda2v_cli.privacy.attacks import Released
from feda2v_cli.privacy.inquiry import Suspects
from feda2v_cli.privacy.interval import wilson
from feda2v_cli.privacy.release import EXACT, Promise, PublicBasis, Rounding, released_point, what_counts

#: Clips of a class that are tried where each asks for a training.
MOST_TRAINED = 4
#: Clips of a class that are tried where a mean is all that it takes.
MOST_READ = 200


@dataclass(frozen=True)
class TwoFiles:
    """What pairs of files tell of the clips by which they differ.

    Attributes:
        share: of these clips that are told.
        low: lower end of its 95 % confidence interval, which takes every clip for a try of its own.
        high: upper end.
        by_chance: the share that is told by who picks any clip of the class.
        clips: how many were tried.
    """

    share: float
    low: float
    high: float
    by_chance: float
    clips: int

    @classmethod
    def of(cls, tries: Sequence[tuple[Sequence[bool], int]]) -> Self | None:
        """What the tries of classes say; None without one.

        Args:
            tries: of each class: of each clip that was tried, whether it is told; and how many clips trained.
        """
        told, clips = (sum(map(count, (told for told, _ in tries))) for count in (sum, len))
        if not clips:
            return None
        chance = sum(len(told) / members for told, members in tries) / clips
        return cls(told / clips, *wilson(told, clips), chance, clips)


def told_by_trainings(one: Suspects, without: Callable[[int], Generator]) -> list[bool]:
    """Of each clip that is tried, whether a second training without it tells it.

    Args:
        one: clips of a class, and the file.
        without: the generator of the same clips but for that at a place of the members.
    """
    count = len(one.members)
    whole = Released.of(one.generator, one.generator.classes.index(one.name)).mean
    told = []
    for place in _tried(count, MOST_TRAINED):
        other = without(place)
        left = Released.of(other, other.classes.index(one.name)).mean
        read = count * whole - (count - 1) * left
        told.append(int((one.members.double() - read).square().sum(1).argmin()) == place)
    return told


def told_on_a_public_basis(
    one: Suspects, basis: PublicBasis, promise: Promise | None, random: torch.Generator, rounding: Rounding = EXACT
) -> list[bool]:
    """The same of a file on a public basis, whose point of the class the attacker reads out of it.

    Of each clip only what goes into a release is told, and is compared. With a promise the second file has noise of its
    own, drawn as a release draws it, but for the source.

    Args:
        one: clips of a class, and the file.
        basis: that the file names.
        promise: that the file makes; None for none.
        random: noise of the second files.
        rounding: of the counts of clips in files.
    """
    count = len(one.members)
    tried = _tried(count, MOST_READ)
    if not tried:
        return []
    discriminants = basis.discriminants(basis.projection.project(one.members))
    width = what_counts(discriminants[1:], promise, rounding).shape[1]
    values = what_counts(discriminants, promise, rounding)[:, :width]
    mean = one.generator.state()["model.means"][one.generator.classes.index(one.name)]
    whole = released_point(mean, rounding.told(count), basis, promise)[:width]
    left = (values.sum(0) - values[tried]) / (count - 1)
    if promise is not None:
        noise = torch.randn(len(tried), width, generator=random, dtype=torch.double)
        left = left + promise.deviation(count - 1) * noise
    read = count * whole - (count - 1) * left
    nearest: Tensor = torch.cdist(read, values).argmin(1)
    return [int(found) == place for found, place in zip(nearest, tried, strict=True)]


def _tried(count: int, most: int) -> list[int]:
    """Places of the clips that are tried, spread over all; none of a single clip, without which there is no file."""
    tried = min(count, most) if count > 1 else 0
    return [place * count // tried for place in range(tried)]
