"""Embeddings with a known structure, and generators fitted on them."""

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.training_set import TrainingSet, training_set
from feda2v_cli.generator.vae_fitting import VaeFitting
from feda2v_cli.profile.schema import GeneratorSection

SHAPE = (4, 24)
SMALL = GeneratorSection(rounds=2, epochs=3, batch_size=8, rank=16, hidden=16, latent=6)


def embeddings(clips: int, number: int = 0) -> Tensor:
    """Clips [clips, tokens, dim] that vary along a few components, far from zero."""
    random = random_stream(11, "embeddings", number)
    factors = torch.randn(6, SHAPE[0] * SHAPE[1], generator=random) * torch.tensor([8.0, 4, 2, 1, 1, 1])[:, None]
    noise = 0.05 * torch.randn(clips, SHAPE[0] * SHAPE[1], generator=random)
    return (torch.randn(clips, 6, generator=random) @ factors + noise - 5).view(clips, *SHAPE)


def spec(node: int = 0, *classes: str) -> GeneratorSpec:
    return GeneratorSpec(node, "unified", None, classes or ("dog",))


def data(node: int = 0, clips: int = 24, classes: tuple[str, ...] = ("dog",), **section: object) -> TrainingSet:
    names = [classes[clip % len(classes)] for clip in range(clips)]
    return training_set(spec(node, *classes), embeddings(clips, node), names, SMALL.model_copy(update=section))


def fitted(*sets: TrainingSet, section: GeneratorSection = SMALL, seed: int = 0) -> VaeFitting:
    fitting = VaeFitting(sets, section, section.learning_rate, seed, torch.device("cpu"))
    for round_number in range(1, section.rounds + 1):
        fitting.train_round(round_number)
    return fitting
