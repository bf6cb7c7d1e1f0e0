"""Fits generators: from embeddings to trained models, many at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feda2v_cli.engine.batch import steps_per_epoch
from feda2v_cli.engine.plan import Cost
from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.stream import stream
from feda2v_cli.engine.train import ModelData, Optimiser, Trainer
from feda2v_cli.generator.gaussian import GaussianSampler
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.moments import ClassMoments, class_moments
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.vae import ConditionalVae, VaeSampler, passes_through_every_clip, start, vae_loss
from feda2v_cli.profile.schema import GeneratorSection

#: Models are filled up to a multiple of so many coordinates: rows that do not fill whole vector registers are rounded
#: differently, depending on where in a stack they stand.
RANK_MULTIPLE = 16


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

    def moments(self, shrinkage: float) -> ClassMoments:
        """Mean and shrunk covariance of each class's coordinates."""
        return class_moments(self.coordinates, self.labels, len(self.spec.classes), shrinkage)


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


def model_shapes(rank: int, classes: int, section: GeneratorSection) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's tensors, without its projection's."""
    if section.type == "gaussian":
        return GaussianSampler.shapes(rank, classes)
    return VaeSampler.shapes(rank, classes, section.hidden, section.latent)


def cost(clips: int, classes: int, features: int, section: GeneratorSection) -> Cost:
    """What one generator needs in memory while it trains.

    Args:
        clips: that train it.
        classes: that it can make.
        features: tokens × dim of an embedding.
        section: its sizes.
    """
    rank = largest_rank(clips, features, section)
    weights = sum(torch.Size(shape).numel() for shape in model_shapes(rank, classes, section).values())
    return Cost(
        weights=weights,
        # Inputs, noise, hidden layers before and after their activation, latents, and the terms of the loss.
        activations=10 * rank + 8 * section.hidden + 10 * section.latent,
        data=clips * (rank + classes),
        batch=min(section.batch_size, clips),
        held=4 * features * ((rank if section.projection == "pca" else 1) + 1),
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
        self._shrinkage = section.shrinkage

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:  # noqa: ARG002
        """Nothing is left to do; the loss is the mean negative log likelihood of the clips, in nats."""
        if on_epoch is not None:
            on_epoch(1)
        return {"loss": torch.stack([self._loss(index) for index in range(len(self._sets))])}

    def generator(self, index: int) -> Generator:
        """One of the Gaussians."""
        data = self._sets[index]
        return Generator(data.spec.classes, data.shape, data.projection, self._sampler(index))

    def state(self) -> dict[str, Tensor]:
        """Nothing: it is cheaper to fit again."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to go back to."""

    def _sampler(self, index: int) -> GaussianSampler:
        return GaussianSampler.fit(self._sets[index].moments(self._shrinkage))

    def _loss(self, index: int) -> Tensor:
        sampler, data = self._sampler(index), self._sets[index]
        normal = torch.distributions.MultivariateNormal(
            sampler.means[data.labels], scale_tril=sampler.factors[data.labels], validate_args=False
        )
        likelihood: Tensor = normal.log_prob(data.coordinates)  # type: ignore[no-untyped-call]
        return -likelihood.mean()


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
        # Models of fewer coordinates or classes are filled up with zeros, which take no part in the loss.
        rank = -(-max(data.projection.rank for data in sets) // RANK_MULTIPLE) * RANK_MULTIPLE
        classes = max(len(data.spec.classes) for data in sets)
        padded = self._module(rank, classes)
        shapes = {name: value.shape for name, value in padded.named_parameters()}
        self._stack = Stack.of([_filled(self._start(data, seed), shapes) for data in sets], device)
        self._trainer = Trainer(
            self._stack,
            [_model_data(data, rank, classes, section.latent) for data in sets],
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
        shapes = VaeSampler.shapes(
            data.projection.rank, len(data.spec.classes), self._section.hidden, self._section.latent
        )
        own = {
            name: value[tuple(slice(size) for size in shapes[name])].clone()
            for name, value in self._stack.model(index).items()
        }
        return Generator(data.spec.classes, data.shape, data.projection, VaeSampler.from_state(own))

    def state(self) -> Mapping[str, Tensor]:
        """Parameters and the optimiser's moments."""
        return self._stack.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`."""
        self._stack.restore(state)

    def _module(self, rank: int, classes: int) -> ConditionalVae:
        with torch.device("meta"):
            return ConditionalVae(rank, classes, self._section.hidden, self._section.latent)

    def _start(self, data: TrainingSet, seed: int) -> dict[str, Tensor]:
        module = self._module(data.projection.rank, len(data.spec.classes))
        random = stream(seed, data.spec.node, data.spec.key, "start")
        return start(module, data.moments(self._section.shrinkage), random)


def _filled(parameters: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    filled = {}
    for name, value in parameters.items():
        filled[name] = value.new_zeros(shapes[name])
        filled[name][tuple(slice(size) for size in value.shape)] = value
    return filled


def _model_data(data: TrainingSet, rank: int, classes: int, latent: int) -> ModelData:
    own = data.projection.rank
    return ModelData(
        identity=(data.spec.node, data.spec.key),
        items={
            "coordinates": torch.nn.functional.pad(data.coordinates, (0, rank - own)),
            "one_hot": torch.nn.functional.one_hot(data.labels, classes).float(),
        },
        noise=latent + own,
        constants={
            "kept": (torch.arange(rank) < own).float(),
            "settled": passes_through_every_clip(torch.bincount(data.labels, minlength=classes), own, latent),
        },
    )
