"""Averages that a few strange nodes cannot move far (Yin et al., Byzantine-Robust Distributed Learning, 2018).

They need all adapters at once, so that their memory grows with the number of nodes; weights do not count.
"""

import torch
from torch import Tensor


class Median:
    """The median of each parameter."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []

    def add(self, rows: Tensor, weights: Tensor) -> None:  # noqa: ARG002 - every node counts alike
        """Add adapters [nodes, row]."""
        self._rows.append(rows.detach().cpu().clone())

    def result(self) -> Tensor:
        """The median, [row]; the mean of the two in the middle for an even number of nodes."""
        ordered = torch.cat(self._rows).sort(0).values
        middle = (len(ordered) - 1) // 2
        return ordered[middle : len(ordered) - middle].mean(0)


class TrimmedMean:
    """The mean of each parameter without its largest and its smallest values.

    Args:
        share: of the nodes that is cut at each end, rounded to the nearest number of nodes that leaves one.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._rows: list[Tensor] = []

    def add(self, rows: Tensor, weights: Tensor) -> None:  # noqa: ARG002 - every node counts alike
        """Add adapters [nodes, row]."""
        self._rows.append(rows.detach().cpu().clone())

    def result(self) -> Tensor:
        """The trimmed mean, [row]."""
        ordered = torch.cat(self._rows).sort(0).values
        cut = min(round(self._share * len(ordered)), (len(ordered) - 1) // 2)
        return ordered[cut : len(ordered) - cut].mean(0)
