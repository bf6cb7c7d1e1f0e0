"""The class-conditional Gaussian: closed form, and the baseline that every other generator has to beat."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from feda2v_cli.engine.memory import Cost
from feda2v_cli.generator.balanced import balanced_normal
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.generator_type import Shapes
from feda2v_cli.generator.principal_components import PrincipalComponents
from feda2v_cli.generator.training_set import TrainingSet, largest_width
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.threads import threads_per_operation


class GaussianSampler:
    """A Gaussian for each class: x = μ_k + L_k t + R_k ε with t, ε ~ N(0, 1), so that x ~ N(μ_k, L_k L_kᵀ + R_k²).

    Args:
        components: of the classes.
    """

    type: ClassVar[str] = "gaussian"

    def __init__(self, components: PrincipalComponents) -> None:
        self._components = components

    def draw(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples]."""
        return self._components.coordinates(balanced_normal(labels, self._components.width, random), labels, random)

    def architecture(self) -> dict[str, int]:
        """Most components of a class."""
        return {"directions": self._components.width}

    def state(self) -> dict[str, Tensor]:
        """Means and loadings."""
        return self._components.state()


class GaussianFitting:
    """Gaussians: one round, in closed form.

    Args:
        sets: one training set a generator.
        section: says how much to shrink.
    """

    def __init__(self, sets: Sequence[TrainingSet], section: GeneratorSection) -> None:
        self._sets = sets
        self._components = [data.components(section) for data in sets]

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:  # noqa: ARG002
        """Nothing is left to do; the loss is the mean negative log likelihood of the clips, in nats."""
        if on_epoch is not None:
            on_epoch(1)
        losses = []
        with threads_per_operation(1):
            for data, components in zip(self._sets, self._components, strict=True):
                scores = components.scores(data.coordinates, data.labels)
                losses.append(components.negative_log_likelihood(scores, data.labels).sum(1).mean())
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


class Gaussian:
    """The type `gaussian`."""

    closed_form: ClassVar[bool] = True
    size_names: ClassVar[tuple[str, ...]] = ("directions",)

    def largest_sizes(
        self, samples_per_class: Mapping[str, int], rank: int, section: GeneratorSection
    ) -> dict[str, int]:
        """Most principal components that a class can have."""
        return {"directions": largest_width(samples_per_class, rank, section)}

    def shapes(self, rank: int, classes: int, sizes: Mapping[str, int]) -> Shapes:
        """Shapes of means and loadings."""
        return PrincipalComponents.shapes(rank, classes, sizes["directions"])

    def training_cost(self, clips: int, classes: int, rank: int, section: GeneratorSection) -> Cost:  # noqa: ARG002
        """The clips' coordinates, and nothing that is trained."""
        return Cost(weights=0, activations=0, data=0, batch=clips, held=4 * clips * rank)

    def fitting(
        self,
        sets: Sequence[TrainingSet],
        section: GeneratorSection,
        *,
        learning_rate: float,  # noqa: ARG002 - a closed form takes no steps
        seed: int,  # noqa: ARG002
        device: torch.device,  # noqa: ARG002
    ) -> GaussianFitting:
        """Gaussians of training sets."""
        return GaussianFitting(sets, section)

    def sampler(self, state: Mapping[str, Tensor], scale: Tensor) -> GaussianSampler:
        """The sampler whose `state` this is, of coordinates of a scale [rank]."""
        return GaussianSampler(PrincipalComponents.from_state(state, scale))
