"""Averages that a few strange nodes cannot move far (Yin et al., Byzantine-Robust Distributed Learning, 2018).

They need a parameter's values on all nodes at once, but no two parameters: they work on some parameters at a time, so
that memory holds a part of the adapters however many nodes there are. Weights do not count.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.engine.stack import ROW_MULTIPLE

#: What the values of some parameters may take while they are sorted.
SORTED_BYTES = 64 * 1024**2
#: Of a value that is sorted: itself and its copy in order.
_BYTES_PER_VALUE = 4 + 4


def median(values: Tensor) -> Tensor:
    """The median of each parameter, the mean of the two in the middle for an even number of nodes, [parameters].

    Args:
        values: on all nodes, [nodes, parameters].
    """
    middle = (len(values) - 1) // 2
    return _in_order(values)[middle : len(values) - middle].mean(0)


def trimmed_mean(values: Tensor, share: float) -> Tensor:
    """The mean of each parameter without its largest and its smallest values, [parameters].

    Args:
        values: on all nodes, [nodes, parameters].
        share: of the nodes that is cut at each end, rounded to the nearest number of nodes that leaves one.
    """
    cut = min(round(share * len(values)), (len(values) - 1) // 2)
    return _in_order(values)[cut : len(values) - cut].mean(0)


def part_by_part(
    aggregate: Callable[[Tensor], Tensor], values_of: Callable[[slice], Tensor], nodes: int, width: int
) -> Tensor:
    """The aggregate of all parameters, made of some at a time, [row].

    Args:
        aggregate: [nodes, parameters] -> [parameters].
        values_of: some parameters of all nodes, [nodes, parameters].
        nodes: how many there are.
        width: parameters of an adapter's row.
    """
    # Whole vector registers, as the row has them: the same bits however many parameters are taken at a time.
    registers = SORTED_BYTES // (_BYTES_PER_VALUE * nodes * ROW_MULTIPLE)
    step = max(1, registers) * ROW_MULTIPLE
    return torch.cat([aggregate(values_of(slice(start, start + step))) for start in range(0, width, step)])


def _in_order(values: Tensor) -> Tensor:
    """Each parameter's values sorted. NumPy's sort is five times as quick as PyTorch's, which also makes an index."""
    return torch.from_numpy(np.sort(values.numpy(), axis=0))
