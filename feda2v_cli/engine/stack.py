"""Parameters of many models, stacked, and the state of their optimiser."""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

#: Bytes that training holds for each weight: weight, gradient, clipped gradient, two moments.
BYTES_PER_WEIGHT = 5 * 4


class Stack:
    """Models of one architecture, trained together.

    Args:
        parameters: by name, [models, …]; they become leaves that need gradients.

    Attributes:
        parameters: by name, [models, …].
        first_moments: of Adam, by name, [models, …].
        second_moments: of Adam, by name, [models, …].
        steps: optimiser steps that every model has taken, once a parameter, as fused AdamW counts them.
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.parameters = {name: value.detach().clone() for name, value in parameters.items()}
        self.first_moments = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second_moments = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.steps = {name: torch.zeros((), device=value.device) for name, value in self.parameters.items()}

    @classmethod
    def of(cls, models: Sequence[Mapping[str, Tensor]], device: torch.device) -> Self:
        """A stack of models that are given one by one.

        Args:
            models: each by name, with the same names and shapes.
            device: where training happens.
        """
        return cls({name: torch.stack([model[name] for model in models]).to(device) for name in models[0]})

    @property
    def models(self) -> int:
        """How many models the stack holds."""
        return next(iter(self.parameters.values())).shape[0]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(iter(self.parameters.values())).device

    def model(self, index: int) -> dict[str, Tensor]:
        """One model's parameters, on the CPU, as tensors of their own."""
        return {name: value[index].detach().cpu().clone() for name, value in self.parameters.items()}

    def state(self) -> dict[str, dict[str, Tensor]]:
        """All that training has to know to go on, on the CPU."""
        return {
            "parameters": {name: value.cpu() for name, value in self.parameters.items()},
            "first_moments": {name: value.cpu() for name, value in self.first_moments.items()},
            "second_moments": {name: value.cpu() for name, value in self.second_moments.items()},
            "steps": {name: value.cpu() for name, value in self.steps.items()},
        }

    def restore(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Go back to a `state`.

        Raises:
            ValueError: the state is of other models.
        """
        for part, theirs in state.items():
            mine: dict[str, Tensor] = getattr(self, part)
            if {name: value.shape for name, value in mine.items()} != {n: value.shape for n, value in theirs.items()}:
                raise ValueError("the state is of models of another shape or number")
            for name, value in theirs.items():
                mine[name].copy_(value)
