"""Fits generators: from embeddings to trained models, many at a time."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feda2v_cli.engine.batch import steps_per_epoch
from feda2v_cli.engine.plan import Cost
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import ModelData, Optimiser, Trainer
from feda2v_cli.generator.gaussian import GaussianSampler
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.moments import class_moments
from feda2v_cli.generator.principal_components import PrincipalComponents, first_columns
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.vae import ConditionalVae, learned_components, start, vae_loss
from feda2v_cli.generator.vae_sampler import VaeSampler
from feda2v_cli.profile.schema import GeneratorSection


@dataclass(frozen=True)
class TrainingSet:
    """What one generator is trained on, in its own coordinates.

    Attributes:
        spec: which generator.
        projection: from embeddings to coordinates.
        coordinates: [clips, rank].
        labels: index of each clip's class in `spec.classes`, [clips].
        shape: tokens and dim of an embedding.
    """

    spec: GeneratorSpec
    projection: Projection
    coordinates: Tensor
    labels: Tensor
    shape: tuple[int, int]

    def components(self, shrinkage: float) -> PrincipalComponents:
        """Mean and components of each class's coordinates, of a covariance that is shrunk."""
        moments = class_moments(self.coordinates, self.labels, len(self.spec.classes), shrinkage)
        return PrincipalComponents.of(moments, self.projection.scale)


def training_set(
    spec: GeneratorSpec, embeddings: Tensor, class_names: Sequence[str], section: GeneratorSection
) -> TrainingSet:
    """Project a generator's clips on the coordinates in which it will be trained.

    Args:
        spec: which generator.
        embeddings: [clips, tokens, dim].
        class_names: of each clip.
        section: says how to project.

    Raises:
        ValueError: the clips do not differ, so that nothing can be learnt from them.
    """
    tokens, dim = embeddings.shape[1:]
    features = embeddings.flatten(1)
    projection = (
        Projection.pca(features, section.rank, section.explained_share)
        if section.projection == "pca"
        else Projection.none(features)
    )
    labels = torch.tensor([spec.classes.index(name) for name in class_names])
    return TrainingSet(spec, projection, projection.project(features), labels, (tokens, dim))


def largest_rank(clips: int, features: int, section: GeneratorSection) -> int:
    """Most coordinates that a projection of so many clips can have."""
    return features if section.projection == "none" else max(1, min(section.rank, clips - 1, features))


def model_shapes(
    samples_per_class: Mapping[str, int], features: int, section: GeneratorSection
) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's tensors at most, without its projection's.

    Args:
        samples_per_class: clips of each class.
        features: tokens × dim of an embedding.
        section: its sizes.
    """
    rank, classes = largest_rank(sum(samples_per_class.values()), features, section), len(samples_per_class)
    components = PrincipalComponents.largest_width(samples_per_class, rank, section.shrinkage)
    if section.type == "gaussian":
        return GaussianSampler.shapes(rank, classes, components)
    return VaeSampler.shapes(rank, classes, components, section.hidden, section.latent)


def cost(samples_per_class: Mapping[str, int], features: int, section: GeneratorSection) -> Cost:
    """What one generator needs in memory while it trains.

    Args:
        samples_per_class: clips of each class that it can make.
        features: tokens × dim of an embedding.
        section: its sizes.
    """
    clips, classes = sum(samples_per_class.values()), len(samples_per_class)
    rank = largest_rank(clips, features, section)
    numbers = sum(math.prod(shape) for shape in model_shapes(samples_per_class, features, section).values())
    trained = 0
    if section.type == "vae":
        with torch.device("meta"):
            trained = sum(
                value.numel() for value in ConditionalVae(classes, section.hidden, section.latent).parameters()
            )
    return Cost(
        weights=trained,
        # Hidden layers before and after their activation, scores, latents, and the terms of the loss.
        activations=8 * section.hidden + 20 * section.latent,
        data=clips * (rank + section.latent + classes),
        batch=min(section.batch_size, clips),
        held=4 * (features * ((rank if section.projection == "pca" else 1) + 1) + numbers - trained),
    )


def same_steps(clips: int, section: GeneratorSection, learning_rate: float) -> tuple[int, float]:
    """What generators must have in common to be trained in one stack."""
    return steps_per_epoch(clips, section.batch_size), learning_rate


class Fitting(Protocol):
    """Generators that are being fitted together."""

    #: Rounds until they are done.
    rounds: int

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:
        """Fit for a round; losses of its last epoch by name, each [generators]."""
        ...

    def generator(self, index: int) -> Generator:
        """One of the generators as it is now."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """All that fitting has to know to go on."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`."""
        ...


class GaussianFitting:
    """Gaussians: one round, in closed form.

    Args:
        sets: one training set a generator.
        section: says how much to shrink.
    """

    rounds = 1

    def __init__(self, sets: Sequence[TrainingSet], section: GeneratorSection) -> None:
        self._sets = sets
        self._components = [data.components(section.shrinkage) for data in sets]

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:  # noqa: ARG002
        """Nothing is left to do; the loss is the mean negative log likelihood of the clips, in nats."""
        if on_epoch is not None:
            on_epoch(1)
        losses = []
        for data, components in zip(self._sets, self._components, strict=True):
            scores = components.scores(data.coordinates, data.labels)
            losses.append(_negative_log_likelihood(scores, components, data.labels).sum(1).mean())
        return {"loss": torch.stack(losses)}

    def generator(self, index: int) -> Generator:
        """One of the Gaussians."""
        data = self._sets[index]
        return Generator(data.spec.classes, data.shape, data.projection, GaussianSampler(self._components[index]))

    def state(self) -> dict[str, Tensor]:
        """Nothing: it is cheaper to fit again."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to go back to."""


class VaeFitting:
    """VAEs of one stack.

    Args:
        sets: one training set a generator, with equally many steps an epoch.
        section: architecture and training.
        learning_rate: of the stack.
        seed: of the run.
        device: where training happens.
    """

    def __init__(
        self,
        sets: Sequence[TrainingSet],
        section: GeneratorSection,
        learning_rate: float,
        seed: int,
        device: torch.device,
    ) -> None:
        self._sets = sets
        self._epochs = section.epochs
        self._section = section
        self.rounds = section.rounds
        self._components = [data.components(section.shrinkage) for data in sets]
        # Models of fewer classes are filled up with zeros, which take no part in the loss.
        classes = max(len(data.spec.classes) for data in sets)
        padded = self._module(classes)
        shapes = {name: value.shape for name, value in padded.named_parameters()}
        self._stack = Stack.of([_filled(self._start(data, seed), shapes) for data in sets], device)
        self._trainer = Trainer(
            self._stack,
            [self._model_data(index, classes) for index in range(len(sets))],
            vae_loss(
                padded,
                kl_warmup_share=section.kl_warmup_share,
                free_bits=section.free_bits,
                input_noise=section.noise,
            ),
            Optimiser(section.batch_size, learning_rate, section.weight_decay, section.clip_norm),
            seed,
        )

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:
        """Train for a round; losses of its last epoch by name, each [generators], in nats a clip."""
        return self._trainer.train_round(round_number, self.rounds, self._epochs, on_epoch)

    def generator(self, index: int) -> Generator:
        """One of the VAEs as it is now, without what it was filled up with."""
        data = self._sets[index]
        module, padded = self._module(len(data.spec.classes)), self._stack.model(index)
        own = {
            name: padded[name][tuple(slice(size) for size in value.shape)].clone()
            for name, value in module.named_parameters()
        }
        module.load_state_dict(own, assign=True)
        sampler = VaeSampler.standardised(module, self._components[index], self._learned(index))
        return Generator(data.spec.classes, data.shape, data.projection, sampler)

    def state(self) -> Mapping[str, Tensor]:
        """Parameters and the optimiser's moments."""
        return self._stack.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`."""
        self._stack.restore(state)

    def _module(self, classes: int) -> ConditionalVae:
        with torch.device("meta"):
            return ConditionalVae(classes, self._section.hidden, self._section.latent)

    def _start(self, data: TrainingSet, seed: int) -> dict[str, Tensor]:
        return start(self._module(len(data.spec.classes)), random_stream(seed, data.spec.node, data.spec.key, "start"))

    def _learned(self, index: int) -> Tensor:
        counts = torch.bincount(self._sets[index].labels, minlength=len(self._sets[index].spec.classes))
        return learned_components(counts, self._components[index].counts, self._section.latent)

    def _model_data(self, index: int, classes: int) -> ModelData:
        data, components, learned = self._sets[index], self._components[index], self._learned(index)
        latent = self._section.latent
        scores = components.scores(data.coordinates, data.labels)
        beyond = torch.arange(components.width) >= learned.sum(1)[data.labels][:, None]
        return ModelData(
            identity=(data.spec.node, data.spec.key),
            items={
                "scores": first_columns(scores, latent),
                "remainder": (beyond * _negative_log_likelihood(scores, components, data.labels)).sum(1),
                "one_hot": torch.nn.functional.one_hot(data.labels, classes).float(),
            },
            noise=2 * latent,
            constants={"learned": torch.nn.functional.pad(learned, (0, 0, 0, classes - len(learned)))},
        )


def _filled(parameters: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    filled = {}
    for name, value in parameters.items():
        filled[name] = value.new_zeros(shapes[name])
        filled[name][tuple(slice(size) for size in value.shape)] = value
    return filled


def _negative_log_likelihood(scores: Tensor, components: PrincipalComponents, labels: Tensor) -> Tensor:
    """Negative log likelihood of clips under the Gaussian, in nats along each direction of their class, [clips, width].

    The unit of length is a standard deviation along each direction, so that it can be told how much less a VAE has.

    Args:
        scores: along the components, [clips, width].
        components: of the classes.
        labels: class of each clip, [clips].
    """
    there = torch.arange(components.width) < components.counts[labels][:, None]
    return there * (0.5 * scores.square() + 0.5 * math.log(2 * math.pi))
