"""The average of what the nodes have trained, taken as it comes."""

import torch
from torch import Tensor


class Mean:
    """The weighted mean (McMahan et al., Communication-Efficient Learning of Deep Networks, 2017, algorithm 1).

    It keeps one sum however many nodes there are, and adds node by node in double precision: the result does not
    depend on how the nodes were stacked.
    """

    def __init__(self) -> None:
        self._total: Tensor | None = None
        self._weight = 0.0

    def add(self, rows: Tensor, weights: Tensor) -> None:
        """Add adapters.

        Args:
            rows: their parameters, [nodes, row].
            weights: what each counts, [nodes].
        """
        rows = rows.detach().cpu()
        if self._total is None:
            self._total = torch.zeros_like(rows[0], dtype=torch.double)
        # One row at a time becomes double: it stays in the cache, where the whole stack would be twice its own size.
        for row, weight in zip(rows, weights.tolist(), strict=True):
            self._total.add_(row, alpha=weight)
            self._weight += weight

    def result(self) -> Tensor:
        """The mean, [row]."""
        assert self._total is not None
        return (self._total / self._weight).float()
