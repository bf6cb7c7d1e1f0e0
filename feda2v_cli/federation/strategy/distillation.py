"""Distillation: the server learns what the nodes' adapters say of synthetic samples.

(Hinton et al., Distilling the Knowledge in a Neural Network, 2015; over nodes: Lin et al., Ensemble Distillation for
Robust Model Fusion, 2020.) A node teaches the classes that it knows and no other: what an adapter says of a class that
it has never seen is noise, and drags the server back to it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from feda2v_cli.engine.stack import parameters_of
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.space import Space
from feda2v_cli.threads import threads_per_operation


class Teaching:
    """Mean outputs of the teachers of each sample. Stacks of teachers are added one after the other.

    Args:
        space: adapter and targets.
        pool: the samples stand in it.
        samples: their places, [samples].
    """

    def __init__(self, space: Space, pool: Pool, samples: Tensor) -> None:
        self._space = space
        self._inputs = pool.embeddings[samples]
        self._labels = pool.labels[samples].cpu()
        self._samples = samples
        self._total = torch.zeros(len(samples), *space.adapter.target, dtype=torch.double)
        self._teachers = torch.zeros(len(samples))

    def add(self, rows: Tensor, nodes: Sequence[Node]) -> None:
        """Let nodes teach the classes that they know.

        Args:
            rows: their adapters, [nodes, row].
            nodes: in the same order.
        """

        def output(row: Tensor) -> Tensor:
            said: Tensor = functional_call(self._space.adapter, parameters_of(row, self._space.shapes), (self._inputs,))
            return said

        with torch.no_grad(), threads_per_operation(1):
            for row, node in zip(rows, nodes, strict=True):
                knows = torch.isin(self._labels, torch.tensor(sorted(node.clips_of_class)))
                if knows.any():
                    self._total[knows] += output(row).cpu()[knows].double()
                    self._teachers += knows

    def lessons(self) -> tuple[Tensor, Tensor]:
        """Places of the samples that have a teacher, and what the teachers say of each, [samples, *target]."""
        taught = self._teachers > 0
        means = self._total[taught] / self._teachers[taught].view(-1, *(1,) * len(self._space.adapter.target))
        return self._samples[taught.to(self._samples.device)], means.float()
