"""What nearest neighbours say of samples: whether they are like the data, as varied as it, or copies of it."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

#: Neighbours that span the ball around an embedding (Naeem et al., 2020, section 3.2).
NEAREST = 5


@dataclass(frozen=True)
class Neighbourhood:
    """Shares, each from 0 to 1 but for the density.

    Attributes:
        precision: of the samples that lie in the ball of some clip.
        recall: of the clips that lie in the ball of some sample.
        density: mean number of clips' balls that a sample lies in, in units of their expected number; not bounded.
        coverage: of the clips whose ball holds a sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Distances:
    """Euclidean distances between clips and samples, in double precision.

    Attributes:
        clips: from each clip to each, [clips, clips].
        samples: from each sample to each, [samples, samples].
        between: from each clip to each sample, [clips, samples].
    """

    clips: Tensor
    samples: Tensor
    between: Tensor

    @classmethod
    def of(cls, clips: Tensor, samples: Tensor) -> Self:
        """Those of clips [clips, features] and samples [samples, features]."""
        return cls(distances(clips, clips), distances(samples, samples), distances(clips, samples))


def neighbourhood(points: Distances, nearest: int = NEAREST) -> Neighbourhood:
    """Precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020, equations 1 to 6).

    The ball B(x) of a point reaches to its k-th neighbour among its own kind. Of N clips x_i and M samples y_j:

        precision  1/M Σ_j 1[y_j in some B(x_i)]        recall    1/N Σ_i 1[x_i in some B(y_j)]
        density    1/(k M) Σ_j Σ_i 1[y_j in B(x_i)]     coverage  1/N Σ_i 1[some y_j in B(x_i)]

    The figures are those of the package `prdc`. Precision, density and coverage do not see that samples have lost the
    variety of the data; recall does.

    Args:
        points: clips and samples, at least two of each.
        nearest: k, neighbours that span a ball; fewer where there are fewer points.
    """
    nearest = max(1, min(nearest, len(points.clips) - 1, len(points.samples) - 1))
    in_ball_of_clip = points.between < _radii(points.clips, nearest)[:, None]
    in_ball_of_sample = points.between < _radii(points.samples, nearest)[None, :]
    return Neighbourhood(
        precision=float(in_ball_of_clip.any(0).double().mean()),
        recall=float(in_ball_of_sample.any(1).double().mean()),
        density=float(in_ball_of_clip.double().sum(0).mean()) / nearest,
        coverage=float(in_ball_of_clip.any(1).double().mean()),
    )


def nearer_share(distances_of_samples: Tensor, distances_of_clips: Tensor) -> float:
    """How often a sample is nearer to what trained than a held-out clip is, over all pairs of the two.

    It is the statistic of Mann and Whitney, P(d < d') + ½ P(d = d') of a sample's distance d and a clip's d', as in the
    test of data copying of Meehan, Chaudhuri and Dasgupta (2020): ½ when the two are alike, 1 when samples are copies.

    Args:
        distances_of_samples: to the nearest clip that trained, [samples].
        distances_of_clips: the same of clips that did not train, [clips].
    """
    sooner = distances_of_samples[:, None] < distances_of_clips[None, :]
    level = distances_of_samples[:, None] == distances_of_clips[None, :]
    return float(sooner.double().mean() + 0.5 * level.double().mean())


def nearest_distances(points: Tensor, others: Tensor) -> Tensor:
    """Distance of each point to the nearest of others, [points].

    Args:
        points: [points, features].
        others: [others, features].
    """
    return distances(points, others).amin(1)


def distances_to_the_rest(points: Tensor) -> Tensor:
    """Distance of each point to the nearest of the other points, [points].

    Args:
        points: [points, features], at least two.
    """
    return distances(points, points).fill_diagonal_(float("inf")).amin(1)


def distances(points: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances, float64 [points, others]."""
    return torch.cdist(points.double(), others.double(), compute_mode="use_mm_for_euclid_dist")


def _radii(distances_of_kind: Tensor, nearest: int) -> Tensor:
    """Distance of each point to its nearest-th neighbour; the point itself is its zeroth."""
    return distances_of_kind.kthvalue(nearest + 1, dim=1).values
