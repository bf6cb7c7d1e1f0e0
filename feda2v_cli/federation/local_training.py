"""What the nodes do in a round: they train the server's adapters on what they have, stack by stack."""

import gc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call

from feda2v_cli.engine.batch import steps_per_epoch
from feda2v_cli.engine.memory import Cost, is_out_of_memory, quick_width, stacks
from feda2v_cli.engine.of_thread import OfThread
from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import Loss, ModelData, Optimiser, Trainer
from feda2v_cli.errors import FailedError
from feda2v_cli.federation.inputs import groups_of
from feda2v_cli.federation.pool import Pool
from feda2v_cli.federation.space import Space
from feda2v_cli.profile.schema import AdapterSection


@dataclass(frozen=True)
class Task:
    """One adapter that a node trains in a round.

    Attributes:
        node: id of the node.
        items: what it trains on, as places in the pool, sorted by their tokens, [items].
        learning_rate: of this node and space.
    """

    node: int
    items: Tensor
    learning_rate: float


@dataclass(frozen=True)
class Trained:
    """Adapters that were trained together.

    Attributes:
        nodes: ids of their nodes.
        parameters: of each, flat, [nodes, parameters], on the device.
        losses: mean of the last epoch, scaled squared error, [nodes].
        steps: optimiser steps that each has taken.
    """

    nodes: tuple[int, ...]
    parameters: Tensor
    losses: Tensor
    steps: int


@dataclass(frozen=True)
class LocalTraining:
    """How nodes train.

    Attributes:
        section: batch size, optimiser, and noise on the inputs.
        epochs: of a round.
        proximal: weight of the proximal term, μ; see `adapter_loss`.
        budget: bytes that a stack may take.
        device: where training happens.
        seed: of the run.
    """

    section: AdapterSection
    epochs: int
    proximal: float
    budget: int
    device: torch.device
    seed: int

    def train(
        self,
        space: Space,
        pool: Pool,
        tasks: Sequence[Task],
        initial: Callable[[Sequence[int]], Tensor],
        round_number: int,
        on_narrowed: Callable[[int, int], None],
    ) -> Iterator[Trained]:
        """Train one adapter for every task, as many at once as is quick and memory holds.

        The optimiser starts anew every round.

        Args:
            space: its adapter and targets.
            pool: what the tasks' items mean.
            tasks: one a node.
            initial: where nodes start, by their ids: [nodes, parameters], or [parameters] for one and the same.
            round_number: from 1; part of the random streams.
            on_narrowed: is told when memory ran out, how many were trained at once and how many will be.

        Yields:
            Stacks, each only as long as it is looked at, so that memory holds one of them.

        Raises:
            FailedError: memory does not suffice for one adapter.
        """
        groups = {task.node: groups_of(pool.embeddings, task.items) for task in tasks}
        # Of ten thousand nodes most cost the same.
        cost_of = cache(lambda groups: self.cost(space, dict(groups)))

        def cost(task: Task) -> Cost:
            return cost_of(tuple(groups[task.node].items()))

        todo = stacks(
            tasks,
            lambda task: self._like(groups[task.node], task.learning_rate),
            lambda task: cost(task).bytes,
            self.budget,
            quick_width(max(map(cost, tasks), key=lambda of: of.activations), self.device),
        )
        while todo:
            group = todo.pop(0)
            try:
                trained = self._train(space, pool, group, initial, round_number)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if len(group) == 1:
                    raise FailedError(
                        f"memory ran out while the adapter of node {group[0].node} to {space.name} was trained, alone",
                        hint="make it smaller: --set adapter.hidden=32",
                    ) from error
                trained = None
            if trained is not None:
                yield trained
                continue
            # Out of the except block, so that the traceback no longer holds the stack's tensors.
            gc.collect()
            half = -(-len(group) // 2)
            on_narrowed(len(group), half)
            todo = [group[:half], group[half:], *todo]

    def cost(self, space: Space, groups: Mapping[int, int]) -> Cost:
        """What one adapter needs in memory while it trains.

        Args:
            space: its target space.
            groups: how many items it trains on, by their tokens.
        """
        hidden, outputs = space.adapter.query.shape[1], space.adapter.query.shape[0]
        dim, items = space.adapter.input.in_features, sum(groups.values())
        return max(
            (
                Cost(
                    weights=sum(torch.Size(shape).numel() for shape in space.shapes.values()),
                    activations=tokens * (2 * dim + 6 * hidden) + outputs * (6 * hidden + 4 * space.adapter.target[-1]),
                    data=items * (2 + (dim if self.section.noise else 0)),
                    batch=min(self.section.batch_size, count),
                )
                for tokens, count in groups.items()
            ),
            key=lambda cost: cost.bytes,
        )

    def order(self, nodes: Sequence[tuple[int, Mapping[int, int], float]]) -> list[int]:
        """The order in which `train` yields nodes, as long as memory suffices: it depends on nothing but themselves.

        Args:
            nodes: id, number of items by their tokens, and learning rate of each, sorted by id.
        """
        alike = [self._like(groups, rate) for _, groups, rate in nodes]
        return [node for _, (node, _, _) in sorted(enumerate(nodes), key=lambda pair: alike.index(alike[pair[0]]))]

    def _like(self, groups: Mapping[int, int], learning_rate: float) -> Hashable:
        # Nodes of a stack have batches of one width: what fills up a batch changes the order in which its sums are
        # added, and the last bits would depend on who a node's neighbours are.
        widths = []
        for tokens, items in groups.items():
            steps = steps_per_epoch(items, self.section.batch_size)
            widths.append((tokens, steps, -(-items // steps)))
        return tuple(widths), learning_rate

    def _train(
        self,
        space: Space,
        pool: Pool,
        group: Sequence[Task],
        initial: Callable[[Sequence[int]], Tensor],
        round_number: int,
    ) -> Trained:
        section, noise = self.section, self.section.noise
        nodes = tuple(task.node for task in group)
        start = initial(nodes).to(self.device)
        stack = Stack(space.shapes, start.expand(len(group), -1).clone())
        groups = [tuple(groups_of(pool.embeddings, task.items).values()) for task in group]
        trainer = Trainer(
            stack,
            [
                ModelData((space.name, task.node), {"item": task.items}, pool.noise_width(noise), groups=own)
                for task, own in zip(group, groups, strict=True)
            ],
            adapter_loss(space, pool, noise, self.proximal, start),
            Optimiser(
                section.batch_size, group[0].learning_rate, section.weight_decay_of(space.name), section.clip_norm
            ),
            self.seed,
            pool.inputs,
        )
        losses = trainer.train_round(round_number, round_number, self.epochs)
        steps = self.epochs * sum(steps_per_epoch(items, section.batch_size) for items in groups[0])
        return Trained(nodes, stack.weights, losses["error"], steps)


def adapter_loss(
    space: Space, pool: Pool, input_noise: float, proximal: float = 0.0, anchor: Tensor | None = None
) -> Loss:
    """The mean squared error between each item's output and the target of its own class, and a proximal term.

        h_k(w; w_t) = F_k(w) + μ/2 ‖w − w_t‖²

    (Li et al., Federated Optimization in Heterogeneous Networks, 2020, equation 2), with F_k the error on node k and
    w_t the server's parameters.

    Args:
        space: the adapter and the targets.
        pool: the items.
        input_noise: standard deviation of noise on the inputs.
        proximal: μ; 0 leaves the term out.
        anchor: w_t, flat, [parameters].

    Returns:
        A loss on items `item` [items], places in the pool, and their `input` there, with the pool's width of noise.
    """
    adapters = OfThread(space.adapter)

    def loss(
        parameters: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        noise: Tensor,
        progress: Tensor,  # noqa: ARG001 - every round is like the first
    ) -> dict[str, Tensor]:
        item = batch["item"]
        output = functional_call(adapters.own, dict(parameters), (pool.noisy(batch["input"], input_noise, noise),))
        error = (output - space.targets[pool.labels[item]]).square().flatten(1).mean(1)
        if not proximal or anchor is None:
            return {"loss": error, "error": error}
        flat = torch.cat([value.reshape(-1) for value in parameters.values()])
        # The anchor is filled up with zeros at its end, as every adapter in a stack is.
        return {"loss": error + 0.5 * proximal * (flat - anchor[: len(flat)]).square().sum(), "error": error}

    return loss
