"""Which nodes take part in a round."""

from collections.abc import Sequence

import torch

from feda2v_cli.engine.random_stream import random_stream


def chosen(nodes: int, fraction: float) -> int:
    """How many nodes are asked in a round; at least one."""
    return max(1, round(nodes * fraction))


def participants(
    nodes: Sequence[int], fraction: float, dropout: float, seed: int, round_number: int
) -> tuple[list[int], list[int]]:
    """The nodes that answer in a round, and those that were asked and fail. Both sorted, the same for a seed.

    Args:
        nodes: ids of all nodes.
        fraction: share that is asked (McMahan et al., 2017: C).
        dropout: probability that a node that is asked fails. The failures are simulated.
        seed: of the run.
        round_number: from 1.
    """
    random = random_stream(seed, "participants", round_number)
    order = torch.randperm(len(nodes), generator=random)[: chosen(len(nodes), fraction)]
    fails = (torch.rand(len(nodes), generator=random) < dropout).tolist()
    asked = sorted(order.tolist(), key=lambda place: nodes[place])
    answering = [nodes[place] for place in asked if not fails[place]]
    return answering, [nodes[place] for place in asked if fails[place]]
