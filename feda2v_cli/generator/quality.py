"""Cheap figures of how good a generator's samples are."""

import torch

from feda2v_cli.generator.fit import TrainingSet
from feda2v_cli.generator.generator import Generator

#: Samples of each clip's class that the spread is measured on; fewer make the figure noisy.
SAMPLES_PER_CLIP = 8
_SEED = 0


def spread(generator: Generator, data: TrainingSet) -> float:
    """Share of the data's spread within classes that the samples have: 1 is right, 0 is a class mean.

    It is the square root of the ratio of the total variances around the class means, in the embedding's own units
    (the axes of a projection are orthonormal, so that its scales carry them over).

    Args:
        generator: what is judged.
        data: what it was trained on.
    """
    labels = data.labels.repeat(SAMPLES_PER_CLIP)
    samples = generator.coordinates(labels, _SEED)
    return float((_variance(samples, labels, data) / _variance(data.coordinates, data.labels, data)).sqrt())


def _variance(coordinates: torch.Tensor, labels: torch.Tensor, data: TrainingSet) -> torch.Tensor:
    """Total variance around the class means, of [items, rank]."""
    one_hot = torch.nn.functional.one_hot(labels, len(data.spec.classes)).float()
    means = (one_hot.T @ coordinates) / one_hot.sum(0)[:, None]
    residuals = (coordinates - means[labels]) * data.projection.scale
    return residuals.square().sum() / (len(labels) - len(data.spec.classes))
