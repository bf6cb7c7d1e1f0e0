"""How much a node counts in an average."""

from collections.abc import Sequence

import torch
from torch import Tensor

from feda2v_cli.federation.pool import Node


def by_clips(nodes: Sequence[Node]) -> Tensor:
    """A node counts as much as it has clips, [nodes]. Synthetic samples do not count: they are others' clips."""
    return torch.tensor([float(len(node.clips)) for node in nodes])


def by_class(nodes: Sequence[Node]) -> Tensor:
    """Every class counts alike, and is divided among the nodes by their clips of it, [nodes].

    It is the mean over classes of the mean over the nodes that know the class: a class that few nodes hold is not
    outvoted by those that many hold.
    """
    total: dict[int, int] = {}
    for node in nodes:
        for label, clips in node.clips_of_class.items():
            total[label] = total.get(label, 0) + clips
    shares = [sum(clips / total[label] for label, clips in node.clips_of_class.items()) for node in nodes]
    return torch.tensor(shares) / len(total)
