"""The class-conditional Gaussian: closed form, and the baseline that every other generator has to beat."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from feda2v_cli.generator.balanced import balanced_normal
from feda2v_cli.generator.principal_components import PrincipalComponents


class GaussianSampler:
    """A full-covariance Gaussian for each class: scores along its components are standard normal.

    Args:
        components: of the classes.
    """

    type: ClassVar[str] = "gaussian"

    def __init__(self, components: PrincipalComponents) -> None:
        self._components = components

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The sampler whose `state` this is."""
        return cls(PrincipalComponents(state["means"], state["loadings"]))

    @staticmethod
    def shapes(rank: int, classes: int, components: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name."""
        return PrincipalComponents.shapes(rank, classes, components)

    def draw(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples]."""
        return self._components.coordinates(balanced_normal(labels, self._components.width, random), labels)

    def architecture(self) -> dict[str, int]:
        """Most components of a class."""
        return {"directions": self._components.width}

    def state(self) -> dict[str, Tensor]:
        """Means and loadings."""
        return self._components.state()
