"""Mean and covariance of each class, steadied by what the classes share."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassMoments:
    """First and second moments of each class.

    Attributes:
        means: [classes, rank].
        roots: [classes, clips, rank]; a class's covariance is rootᵀ root. They stay small where a covariance of rank ×
            rank would not: there are few clips, and a dense model has thousands of coordinates.
    """

    means: Tensor
    roots: Tensor


def class_moments(coordinates: Tensor, labels: Tensor, classes: int, shrinkage: float) -> ClassMoments:
    """Means and shrunk covariances: of few clips alone a covariance is mostly noise.

    Each class's covariance is mixed with the pooled one of all classes (regularised discriminant analysis: Friedman,
    1989, equation 16). With one class the two are the same. A class of one clip has no covariance of its own; it
    takes the pooled one, or its samples would all be that clip.

    Args:
        coordinates: [clips, rank].
        labels: [clips], each from 0 to classes − 1; every class has a clip.
        classes: how many there are.
        shrinkage: share of the pooled covariance, 0 to 1.
    """
    one_hot = torch.nn.functional.one_hot(labels, classes).to(coordinates.dtype)  # [clips, classes]
    counts = one_hot.sum(0)
    means = one_hot.T @ coordinates / counts[:, None]
    centred = coordinates - means[labels]
    own = one_hot.T / (counts - 1).clamp(min=1)[:, None]  # [classes, clips]
    pooled = 1 / max(len(labels) - classes, 1)
    shares = torch.where(counts > 1, shrinkage, 1.0)[:, None]  # [classes, 1]
    weights = (1 - shares) * own + shares * pooled
    return ClassMoments(means, weights.sqrt()[:, :, None] * centred)
