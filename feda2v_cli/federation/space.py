"""A target space: its adapter, and the classes' targets in units in which losses and learning rates mean the same."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.adapter import Adapter, initial_parameters
from feda2v_cli.engine.stack import row_of


@dataclass(frozen=True)
class Space:
    """A target space.

    Targets are centred at their mean over the classes and divided by their deviation, so that a loss of 1 is what the
    mean target scores, whatever the text encoder. Targets are public: every node knows those of all classes.

    Attributes:
        name: clip or t5.
        adapter: its architecture; its own parameters are not used.
        targets: [classes, *shape], scaled.
        centre: [*shape], mean of the targets in their own units; zeros for a single class.
        scale: deviation of the targets in their own units.
    """

    name: str
    adapter: Adapter
    targets: Tensor
    centre: Tensor
    scale: float

    @classmethod
    def of(cls, name: str, targets: Tensor, dim: int, hidden: int) -> Self:
        """A space and its adapter.

        Args:
            name: clip or t5.
            targets: [classes, *shape], in their own units.
            dim: dimensions of an embedding's token.
            hidden: width of the adapter.
        """
        centre = targets.mean(0) if len(targets) > 1 else torch.zeros_like(targets[0])
        centred = targets - centre
        scale = float(centred.square().mean().sqrt()) or 1.0
        with torch.device("meta"):
            adapter = Adapter(dim, hidden, tuple(targets.shape[1:]))
        return cls(name, adapter, centred / scale, centre, scale)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the adapter's parameters by name."""
        return {name: tuple(value.shape) for name, value in self.adapter.named_parameters()}

    def initial_parameters(self, seed: int) -> Tensor:
        """The flat parameters that every node starts from, [parameters]."""
        return row_of(initial_parameters(self.adapter, seed, self.name))
