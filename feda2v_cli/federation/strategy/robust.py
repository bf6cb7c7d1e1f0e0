"""Averages that a few strange nodes cannot move far (Yin et al., Byzantine-Robust Distributed Learning, 2018).

They need a parameter's values on all nodes at once, but no two parameters: they work on some parameters at a time, so
that memory holds a part of the adapters however many nodes there are. Weights do not count.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.engine.stack import ROW_MULTIPLE
from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Strategy
from feda2v_cli.profile.schema import FederationSection

#: What the values of some parameters may take while they are sorted.
SORTED_BYTES = 64 * 1024**2
#: Of a value that is sorted: itself and its copy in order.
_BYTES_PER_VALUE = 4 + 4


class Median(Strategy):
    """The server has the median of what the nodes have trained."""

    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin to collect the nodes' adapters."""
        return _Robust(exchange, median)


class TrimmedMean(Strategy):
    """The server has the mean of what the nodes have trained, without the ends."""

    def __init__(self, section: FederationSection) -> None:
        super().__init__(section)
        self._share = section.trim

    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin to collect the nodes' adapters."""
        return _Robust(exchange, lambda values: trimmed_mean(values, self._share))


class _Robust(Aggregation):
    """All nodes' adapters, in files until the last is there.

    Args:
        exchange: the round.
        aggregate: [nodes, parameters] -> [parameters].
    """

    def __init__(self, exchange: Exchange, aggregate: Callable[[Tensor], Tensor]) -> None:
        super().__init__(exchange)
        self._aggregate = aggregate

    def add(self, trained: Trained) -> None:
        self.exchange.store.write(self.exchange.number, self.exchange.space.name, trained.nodes, trained.parameters)

    def server(self) -> Tensor:
        number, space, store = self.exchange.number, self.exchange.space.name, self.exchange.store
        nodes = [node.id for node in self.exchange.nodes]
        return part_by_part(
            self._aggregate,
            lambda part: store.read_part(number, space, nodes, part),
            len(nodes),
            len(self.exchange.server),
        )


def median(values: Tensor) -> Tensor:
    """The median of each parameter, the mean of the two in the middle for an even number of nodes, [parameters].

        g_k = med{x_i,k : i = 1 … m}

    (definition 1), with x_i,k parameter k on node i of m.

    Args:
        values: on all nodes, [nodes, parameters].
    """
    middle = (len(values) - 1) // 2
    return _in_order(values)[middle : len(values) - middle].mean(0)


def trimmed_mean(values: Tensor, share: float) -> Tensor:
    """The mean of each parameter without its largest and its smallest values, [parameters].

        g_k = 1 / ((1 − 2β) m) Σ_{x ∈ U_k} x

    (definition 2), with U_k the values {x_i,k : i = 1 … m} without the largest and the smallest share β of them.

    Args:
        values: on all nodes, [nodes, parameters].
        share: β of the nodes that is cut at each end, rounded to the nearest number of nodes that leaves one.
    """
    cut = min(round(share * len(values)), (len(values) - 1) // 2)
    return _in_order(values)[cut : len(values) - cut].mean(0)


def part_by_part(
    aggregate: Callable[[Tensor], Tensor], values_of: Callable[[slice], Tensor], nodes: int, width: int
) -> Tensor:
    """The aggregate of all parameters, made of some at a time, [parameters].

    Args:
        aggregate: [nodes, parameters] -> [parameters].
        values_of: some parameters of all nodes, [nodes, parameters].
        nodes: how many there are.
        width: flat parameters of an adapter.
    """
    # Whole vector registers, as flat parameters fill them: the same bits however many are taken at a time.
    registers = SORTED_BYTES // (_BYTES_PER_VALUE * nodes * ROW_MULTIPLE)
    step = max(1, registers) * ROW_MULTIPLE
    return torch.cat([aggregate(values_of(slice(start, start + step))) for start in range(0, width, step)])


def _in_order(values: Tensor) -> Tensor:
    """Each parameter's values sorted. NumPy's sort is five times as quick as PyTorch's, which also makes an index."""
    return torch.from_numpy(np.sort(values.numpy(), axis=0))
