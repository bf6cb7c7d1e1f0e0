"""The class-conditional Gaussian: closed form, and the baseline that every other generator has to beat."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from feda2v_cli.generator.balanced import balanced_normal
from feda2v_cli.generator.directions import Directions


class GaussianSampler:
    """A full-covariance Gaussian for each class: amounts along its directions are standard normal.

    Args:
        directions: of the classes.
    """

    type: ClassVar[str] = "gaussian"

    def __init__(self, directions: Directions) -> None:
        self._directions = directions

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The sampler whose `state` this is."""
        return cls(Directions(state["means"], state["loadings"]))

    @staticmethod
    def shapes(rank: int, classes: int, directions: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name."""
        return Directions.shapes(rank, classes, directions)

    def draw(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples]."""
        return self._directions.coordinates(balanced_normal(labels, self._directions.width, random), labels)

    def architecture(self) -> dict[str, int]:
        """Most directions of a class."""
        return {"directions": self._directions.width}

    def state(self) -> dict[str, Tensor]:
        """Means and loadings."""
        return self._directions.state()
