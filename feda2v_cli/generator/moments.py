"""Mean and covariance of each class, steadied by what the classes share."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassMoments:
    """First and second moments of each class.

    Attributes:
        means: [classes, rank].
        covariances: [classes, rank, rank].
    """

    means: Tensor
    covariances: Tensor


def class_moments(coordinates: Tensor, labels: Tensor, classes: int, shrinkage: float) -> ClassMoments:
    """Means and shrunk covariances: of few clips alone a covariance is mostly noise.

    Each class's covariance is mixed with the pooled one of all classes (regularised discriminant analysis: Friedman,
    1989, equation 16). With one class the two are the same.

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
    scatters = torch.einsum("nc,nr,ns->crs", one_hot, centred, centred)
    pooled = scatters.sum(0) / (counts.sum() - classes).clamp(min=1)
    own = scatters / (counts - 1).clamp(min=1)[:, None, None]
    return ClassMoments(means, (1 - shrinkage) * own + shrinkage * pooled)
