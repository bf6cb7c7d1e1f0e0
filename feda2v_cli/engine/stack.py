"""Parameters of many models, stacked, and the state of their optimiser."""

import math
from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

#: Bytes that training holds for each weight: weight, gradient, two moments, and what an operation on them makes.
BYTES_PER_WEIGHT = 6 * 4

#: Each model's row is filled up to a multiple of this, so that it lies on whole vector registers wherever it stands in
#: a stack: the last elements of a tensor are computed one by one, and round differently.
ROW_MULTIPLE = 64


class Stack:
    """Models of one architecture, trained together. Each model is one row of all its parameters.

    Args:
        shapes: of a model's parameters, by name.
        weights: [models, row]; see `row_of`.

    Attributes:
        shapes: of a model's parameters, by name.
        weights: [models, row].
        first_moments: of Adam, [models, row].
        second_moments: of Adam, [models, row].
        steps: optimiser steps that every model has taken, [].
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], weights: Tensor) -> None:
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.weights = weights
        self.first_moments = torch.zeros_like(weights)
        self.second_moments = torch.zeros_like(weights)
        self.steps = torch.zeros((), device=weights.device)

    @classmethod
    def of(cls, models: Sequence[Mapping[str, Tensor]], device: torch.device) -> Self:
        """A stack of models that are given one by one.

        Args:
            models: each by name, with the same names and shapes.
            device: where training happens.
        """
        shapes = {name: tuple(value.shape) for name, value in models[0].items()}
        return cls(shapes, torch.stack([row_of(model) for model in models]).to(device))

    @property
    def models(self) -> int:
        """How many models the stack holds."""
        return self.weights.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.weights.device

    def part(self, models: slice) -> Self:
        """Some of the models, in the same memory: what trains them trains this stack's. It counts steps of its own."""
        part = type(self)(self.shapes, self.weights[models])
        part.first_moments, part.second_moments = self.first_moments[models], self.second_moments[models]
        return part

    def model(self, index: int) -> dict[str, Tensor]:
        """One model's parameters, on the CPU, as tensors of their own."""
        parameters = parameters_of(self.weights[index].cpu(), self.shapes)
        return {name: value.clone() for name, value in parameters.items()}

    def state(self) -> dict[str, Tensor]:
        """All that training has to know to go on, on the CPU."""
        return {name: getattr(self, name).cpu() for name in _STATE}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`.

        Raises:
            ValueError: the state is of other models.
        """
        for name in _STATE:
            mine: Tensor = getattr(self, name)
            if state[name].shape != mine.shape:
                raise ValueError(f"the state's {name} are {list(state[name].shape)}, the stack's {list(mine.shape)}")
            mine.copy_(state[name])


_STATE = ("weights", "first_moments", "second_moments", "steps")


def row_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """A model's parameters as one row, [row], zeros at its end."""
    row = torch.cat([value.detach().reshape(-1) for value in parameters.values()])
    return torch.nn.functional.pad(row, (0, -len(row) % ROW_MULTIPLE))


def parameters_of(row: Tensor, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """The parameters in a row [row], by name, as views of it."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = torch.split(row, [*sizes, row.shape[0] - sum(sizes)])
    return {name: part.view(tuple(shape)) for part, (name, shape) in zip(parts, shapes.items(), strict=False)}
