"""Averages of what the nodes have trained."""

from typing import Protocol

import torch
from torch import Tensor


class Aggregate(Protocol):
    """Becomes one adapter of many. Stacks are added one after the other."""

    def add(self, rows: Tensor, weights: Tensor) -> None:
        """Add adapters.

        Args:
            rows: their parameters, [nodes, row].
            weights: what each counts, [nodes].
        """
        ...

    def result(self) -> Tensor:
        """The one adapter, [row]."""
        ...


class Mean:
    """The weighted mean (McMahan et al., Communication-Efficient Learning of Deep Networks, 2017, algorithm 1).

    It keeps one sum however many nodes there are, and adds node by node in double precision: the result does not
    depend on how the nodes were stacked.
    """

    def __init__(self) -> None:
        self._total: Tensor | None = None
        self._weight = 0.0

    def add(self, rows: Tensor, weights: Tensor) -> None:
        """Add adapters [nodes, row] with weights [nodes]."""
        doubles = rows.detach().cpu().double()
        if self._total is None:
            self._total = torch.zeros_like(doubles[0])
        for row, weight in zip(doubles, weights.tolist(), strict=True):
            self._total.add_(row, alpha=weight)
            self._weight += weight

    def result(self) -> Tensor:
        """The mean, [row]."""
        assert self._total is not None
        return (self._total / self._weight).float()
