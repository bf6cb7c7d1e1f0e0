"""Generators that are good or bad on purpose, on embeddings whose classes can be told apart."""

from collections.abc import Callable

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.quality.measures import Labelled, Measured, Reference

CLASSES = ("cow", "dog", "frog", "pig")
FEATURES = 120
TRAINED, HELD_OUT = 32, 10


def clips(per_class: int, *identity: int | str) -> Labelled:
    """Clips of every class around its mean, along few directions and with noise on all features."""
    shape = random_stream(3, "shape")
    means = 1.2 * torch.randn(len(CLASSES), FEATURES, generator=shape)
    directions = torch.randn(6, FEATURES, generator=shape)
    labels = torch.arange(len(CLASSES)).repeat_interleave(per_class)
    random = random_stream(3, *identity)
    factors = torch.randn(len(labels), 6, generator=random)
    noise = torch.randn(len(labels), FEATURES, generator=random)
    return Labelled(5 + means[labels] + factors @ directions + 0.3 * noise, labels)


def reference() -> Reference:
    return Reference.of(CLASSES, clips(TRAINED, "trained"), clips(HELD_OUT, "held out"))


Maker = Callable[[int], Labelled]


def sound(draw: int) -> Labelled:
    return clips(TRAINED, "new", draw)


def class_mean(draw: int) -> Labelled:
    drawn, means = sound(draw), _class_means()
    return Labelled(means[drawn.labels] + 0.05 * (drawn.values - means[drawn.labels]), drawn.labels)


def mean_and_noise(draw: int) -> Labelled:
    """Spread enough, but not where the data vary: noise around the class mean, the same in each feature."""
    trained, means = clips(TRAINED, "trained"), _class_means()
    scatter = (trained.values - means[trained.labels]).square().mean().sqrt()
    noise = torch.randn(trained.values.shape, generator=random_stream(4, draw))
    return Labelled(means[trained.labels] + 0.6 * scatter * noise, trained.labels)


def copied(draw: int) -> Labelled:
    trained = clips(TRAINED, "trained")
    random = random_stream(5, draw)
    chosen = torch.cat(
        [torch.randint(TRAINED, (TRAINED,), generator=random) + TRAINED * c for c in range(len(CLASSES))]
    )
    values = trained.values[chosen]
    return Labelled(values + 0.1 * torch.randn(values.shape, generator=random), trained.labels)


def shuffled(draw: int) -> Labelled:
    drawn = sound(draw)
    return Labelled(drawn.values, drawn.labels[torch.randperm(len(drawn.labels), generator=random_stream(6, draw))])


def swapped(draw: int) -> Labelled:
    """Two of the classes take each other's place."""
    drawn = sound(draw)
    return Labelled(drawn.values, torch.tensor([1, 0, 2, 3])[drawn.labels])


def measured(maker: Maker, draws: int = 3) -> list[Measured]:
    judge = reference()
    return [judge.measure(maker(draw)) for draw in range(draws)]


def _class_means() -> Tensor:
    trained = clips(TRAINED, "trained")
    return torch.stack([trained.of(label).mean(0) for label in range(len(CLASSES))])
