"""Standardising embeddings with figures that every node may know: sums over the federation, and no clip.

Each node gives the number of its tokens and, for each dimension, their sum and their sum of squares. Nothing else
leaves it. (With very few clips even sums say much of them; secure aggregation, Bonawitz et al., 2017, would hide each
node's behind the total, and is not done here.) Where generators leave the nodes, samples give such sums too, and clips
need to give none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.embedding.stored import StoredEmbeddings
from feda2v_cli.generator.generator import Generator

#: A dimension that varies less than this share of the mean deviation is left as it is: it would be blown-up noise.
_SMALLEST_SHARE = 1e-4
#: Bytes of embeddings, in double precision, that are added up together.
_PART_BYTES = 128 * 1024**2
#: Samples of each class of a generator that give sums in place of clips.
SAMPLES_OF_CLASS = 100


@dataclass(frozen=True)
class Sums:
    """What one node, or one generator of it, tells of its embeddings.

    Attributes:
        count: tokens of all its clips or samples, as many as it tells of.
        total: sum over them, float64 [dim].
        squares: sum of their squares, float64 [dim].
    """

    count: int
    total: Tensor
    squares: Tensor

    @classmethod
    def of(cls, embeddings: StoredEmbeddings, told: int | None = None) -> Self:
        """The sums of embeddings, of which memory holds a part at a time.

        Args:
            embeddings: [clips, tokens, dim].
            told: clips that the node tells of, whose sums are as many times the mean in single precision: exact ones
                would tell how many there are; None for those that there are.
        """
        clips, tokens, dim = embeddings.shape
        at_once = max(1, _PART_BYTES // (8 * tokens * dim))
        parts = (embeddings.read(slice(start, start + at_once)) for start in range(0, clips, at_once))
        sums = cls._added(parts, dim)
        if told is None:
            return sums
        count = told * tokens
        total, squares = ((part / sums.count).float().double() * count for part in (sums.total, sums.squares))
        return cls(count, total, squares)

    @classmethod
    def of_samples(cls, generator: Generator, seed: int) -> Self:
        """The sums of samples of a generator, as many of each of its classes.

        Args:
            generator: that draws them.
            seed: of the samples.
        """
        labels = [name for name in generator.classes for _ in range(SAMPLES_OF_CLASS)]
        return cls._added(generator.sample_in_parts(labels, seed), generator.shape[1])

    @classmethod
    def _added(cls, parts: Iterable[Tensor], dim: int) -> Self:
        count = 0
        total, squares = torch.zeros(2, dim, dtype=torch.double)
        for part in parts:
            values = part.flatten(0, 1).double()
            count += len(values)
            total += values.sum(0)
            squares += values.square_().sum(0)
        return cls(count, total, squares)


@dataclass(frozen=True)
class Standardisation:
    """Mean and deviation of each dimension over the federation's clips that train, or over samples in their place.

        μ = Σ_k s_k / n,  σ² = Σ_k q_k / n − μ²,  x̂ = (x − μ) / σ

    with s_k and q_k the sums of node k and of its squares, and n = Σ_k n_k its tokens.

    Attributes:
        mean: [dim].
        scale: [dim], above zero.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, nodes: Iterable[Sums]) -> Self:
        """The figures of a federation, from what its nodes tell."""
        sums = list(nodes)
        count = sum(node.count for node in sums)
        mean = torch.stack([node.total for node in sums]).sum(0) / count
        variance = torch.stack([node.squares for node in sums]).sum(0) / count - mean.square()
        deviation = variance.clamp(min=0).sqrt()
        usable = deviation > _SMALLEST_SHARE * deviation.mean()
        return cls(mean.float(), torch.where(usable, deviation, 1.0).float())

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Embeddings [clips, tokens, dim] with mean 0 and deviation 1 in each dimension."""
        return (embeddings - self.mean) / self.scale

    def in_place(self, embeddings: Tensor) -> Tensor:
        """The same embeddings, standardised where they are."""
        return embeddings.sub_(self.mean).div_(self.scale)
