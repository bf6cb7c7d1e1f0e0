"""The components in which clips of a class differ, those that move embeddings farthest first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.generator.moments import ClassMoments

#: Below this share of the largest deviation along a direction, what is left of one is rounding.
SMALLEST_DEVIATION_SHARE = 1e-6


@dataclass(frozen=True)
class PrincipalComponents:
    """Mean and principal components of each class.

    Attributes:
        means: [classes, rank].
        loadings: [classes, rank, width]; a column says how coordinates move for one standard deviation along a
            direction. A class with fewer components than others has columns of zeros behind its own.
    """

    means: Tensor
    loadings: Tensor

    @classmethod
    def of(cls, moments: ClassMoments, scale: Tensor) -> Self:
        """Principal components (Jolliffe, Principal Component Analysis, 2002) of each class's covariance.

        Args:
            moments: of the coordinates of each class.
            scale: size of each coordinate in an embedding's own units, [rank].
        """
        found = []
        for root in moments.roots:  # one class at a time: without a projection, its coordinates are many
            _, deviations, axes = torch.linalg.svd(root.double() * scale.double(), full_matrices=False)
            kept = deviations > SMALLEST_DEVIATION_SHARE * deviations[0]
            axes, deviations = axes[kept], deviations[kept]
            # Of a direction and its opposite, the one that moves the coordinate it moves most upwards.
            signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
            found.append((signs * axes * deviations[:, None] / scale.double()).T.float())
        width = max(1, *(loading.shape[1] for loading in found))
        loadings = [torch.nn.functional.pad(loading, (0, width - loading.shape[1])) for loading in found]
        return cls(moments.means, torch.stack(loadings))

    @staticmethod
    def shapes(rank: int, classes: int, width: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name."""
        return {"means": (classes, rank), "loadings": (classes, rank, width)}

    @staticmethod
    def largest_width(counts: Mapping[str, int], rank: int, shrinkage: float) -> int:
        """Most components that a class can have.

        Args:
            counts: clips of each class.
            rank: coordinates of an embedding.
            shrinkage: share of the pooled covariance in each class's.
        """
        pooled = shrinkage > 0 or min(counts.values()) < 2
        freedom = sum(counts.values()) - len(counts) if pooled else max(counts.values()) - 1
        return max(1, min(rank, freedom))

    @property
    def width(self) -> int:
        """PrincipalComponents of the class that has most."""
        return self.loadings.shape[2]

    @property
    def counts(self) -> Tensor:
        """How many components each class has, [classes]."""
        return self.loadings.any(1).sum(1)

    def coordinates(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Coordinates [samples, rank] of scores along the components.

        Args:
            scores: in standard deviations, [samples, width].
            labels: class of each, [samples].
        """
        moved = torch.empty(len(labels), self.means.shape[1])
        for label in torch.unique(labels):
            of_class = labels == label
            moved[of_class] = self.means[label] + scores[of_class] @ self.loadings[label].T
        return moved

    def scores(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        """Scores [clips, width] along the components: what `coordinates` makes clips of.

        Args:
            coordinates: [clips, rank].
            labels: class of each, [clips].
        """
        scores = torch.empty(len(labels), self.width)
        for label in torch.unique(labels):
            of_class = labels == label
            inverse = torch.linalg.pinv(self.loadings[label].double(), rtol=SMALLEST_DEVIATION_SHARE)
            centred = coordinates[of_class].double() - self.means[label].double()
            scores[of_class] = (centred @ inverse.T).float()
        return scores

    def state(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        return {"means": self.means, "loadings": self.loadings}


def first_columns(scores: Tensor, count: int) -> Tensor:
    """Scores along the first components, [clips, count]; zero beyond those that there are.

    Args:
        scores: [clips, width].
        count: of components.
    """
    return torch.nn.functional.pad(scores[:, :count], (0, max(0, count - scores.shape[1])))
