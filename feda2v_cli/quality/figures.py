"""Cheap figures of how good a generator's samples are, which training takes at its end."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from feda2v_cli.generator.generator import Generator, LatentSampler
from feda2v_cli.generator.training_set import TrainingSet

#: Samples of each clip's class that the spread is measured on; fewer make the figure noisy.
SAMPLES_PER_CLIP = 8
#: A latent unit whose mean varies less than this over the clips says nothing of them (Burda et al., 2016, section 5.2).
SMALLEST_VARIANCE_OF_ACTIVE_UNIT = 0.01
_SEED = 0


def cheap_figures(generator: Generator, data: TrainingSet) -> dict[str, Any]:
    """Figures as a checkpoint keeps them: `spread`, the same `per_class`, and the number of `active_units` of a VAE.

    Args:
        generator: what is judged.
        data: what it was trained on.
    """
    labels = data.labels.repeat(SAMPLES_PER_CLIP)
    drawn = _scatters(generator.coordinates(labels, _SEED), labels, data)
    clips = _scatters(data.coordinates, data.labels, data)
    names = data.spec.classes
    figures: dict[str, Any] = {
        "spread": _spread(drawn.sum(0), clips.sum(0)),
        # A class with one clip has no spread to compare with.
        "per_class": {
            name: {"spread": _spread(drawn[label], clips[label])}
            for label, name in enumerate(names)
            if clips[label].min() > 0
        },
    }
    active = active_units(generator, data)
    return figures if active is None else figures | {"active_units": active}


def spread(generator: Generator, data: TrainingSet) -> float:
    """Share of the data's spread within classes that the samples have: 1 is right, 0 is a class mean.

    It is (tr Σ_samples / tr Σ_clips)^½ of the covariances around the class means, in the embedding's own units (the
    axes of a projection are orthonormal, so that its scales carry them over).

    Args:
        generator: what is judged.
        data: what it was trained on.
    """
    return float(cheap_figures(generator, data)["spread"])


def active_units(generator: Generator, data: TrainingSet) -> int | None:
    """Latent units whose mean varies within classes, Var_t(E_q(z | t)[z]) > 0.01; None for a generator without any.

    Args:
        generator: what is judged.
        data: what it was trained on.
    """
    sampler = generator.sampler
    if not isinstance(sampler, LatentSampler):
        return None
    means = sampler.latent_means(data.coordinates, data.labels)
    squares, freedom = _squares_and_freedom(means, data.labels, len(data.spec.classes))
    return int((squares.sum(0) / freedom.sum() > SMALLEST_VARIANCE_OF_ACTIVE_UNIT).sum())


def _scatters(coordinates: Tensor, labels: Tensor, data: TrainingSet) -> Tensor:
    """Sum of squares around each class's mean, in the embedding's units, and its degrees of freedom, [classes, 2]."""
    squares, freedom = _squares_and_freedom(coordinates * data.projection.scale, labels, len(data.spec.classes))
    return torch.stack([squares.sum(1), freedom], dim=1)


def _squares_and_freedom(values: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Squares around class means [classes, dim] of values [items, dim], and their degrees of freedom [classes]."""
    members = one_hot(labels, classes).to(values.dtype)  # [items, classes]
    counts = members.sum(0)
    means = members.T @ values / counts[:, None]
    return members.T @ (values - means[labels]).square(), counts - 1


def _spread(drawn: Tensor, clips: Tensor) -> float:
    """From sums of squares and degrees of freedom, each [2]."""
    return float(((drawn[0] / drawn[1]) / (clips[0] / clips[1])).sqrt())
