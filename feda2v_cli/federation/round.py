"""The round: nodes train, and the server makes one adapter of what they send. Which one, the strategy says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.local_training import LocalTraining, Task, Trained
from feda2v_cli.federation.node_store import NodeStore
from feda2v_cli.federation.pool import Node, participants
from feda2v_cli.federation.retrieval import RetrievalAccuracy, measure_retrieval
from feda2v_cli.federation.server_training import ServerTraining
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Owner
from feda2v_cli.federation.synthetic import Samples, draw_samples


@dataclass(frozen=True)
class Round:
    """What happened in a round.

    Attributes:
        number: from 1.
        present: ids of the nodes that took part.
        failed: ids of the nodes that were asked and did not answer.
        skipped: whether too few answered: nothing has changed.
        loss: mean over the nodes of the last epoch's loss, by space; empty when no node trained.
        node_loss: of each node that trained, by its id and by space.
        steps: optimiser steps of all nodes and spaces together.
    """

    number: int
    present: tuple[int, ...]
    failed: tuple[int, ...]
    skipped: bool
    loss: Mapping[str, float]
    node_loss: Mapping[int, Mapping[str, float]]
    steps: int


class Federation:
    """Runs rounds. Its state is what the server holds; nodes keep nothing, unless the strategy lets them.

    Args:
        setup: the federation.
        directory: where the nodes' own adapters lie, if they are kept.
        on_narrowed: is told when memory ran out, how many were trained at once and how many will be.

    Attributes:
        setup: the federation.
        store: the nodes' own adapters.
        adapters: the server's by space, flat parameters [parameters].
    """

    def __init__(self, setup: Setup, directory: Path, on_narrowed: Callable[[int, int], None]) -> None:
        self.setup = setup
        self.adapters = {space.name: space.initial_parameters(setup.seed) for space in setup.spaces}
        self.store = NodeStore(
            directory, [node.id for node in setup.trainers], {name: len(flat) for name, flat in self.adapters.items()}
        )
        self._on_narrowed = on_narrowed
        self._strategy = make_strategy(setup.profile.federation)
        self._local_training = LocalTraining(
            section=setup.profile.adapter,
            epochs=setup.profile.federation.local_epochs,
            proximal=self._strategy.proximal,
            budget=setup.budget,
            device=setup.device,
            seed=setup.seed,
        )
        self._pool = setup.clips
        self._items: dict[int, Tensor] = {}
        self._samples: Samples | None = None
        self._server_samples = torch.zeros(0, dtype=torch.long)

    def state(self, number: int) -> dict[str, Any]:
        """All that the next round has to know after a round, beside the store."""
        # "rows" is what the states of runs that were interrupted before call the adapters.
        return {"rows": self.adapters} | self._strategy.state(self.store, number)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`."""
        self.adapters = dict(state["rows"])
        self._strategy.restore(state)

    def run_round(self, number: int, *, keep_nodes: bool = False) -> Round:
        """Run one round. Unless it ends, the server's adapters are as they were.

        Args:
            number: from 1.
            keep_nodes: write every node's own adapters to the store.

        Raises:
            FailedError: a loss or an adapter is not finite, or memory does not suffice for one adapter.
        """
        setup, section = self.setup, self.setup.profile.federation
        # Step 1: some nodes are asked, and some of them answer. With too few, nothing changes.
        ids = [node.id for node in setup.trainers]
        present, failed = participants(ids, section.fraction, section.dropout, setup.seed, number)
        skipped = len(present) < min(section.quorum, len(ids))
        training = set() if skipped else set(present)
        nodes = tuple(node for node in setup.trainers if node.id in training)
        absent = [node for node in ids if node not in training]
        # Step 2: generators draw the samples of the round.
        if not skipped:
            self._draw(number)
        adapters, losses, steps = dict(self.adapters), {}, 0
        node_losses: dict[int, dict[str, float]] = {node.id: {} for node in nodes}
        for space in setup.spaces:
            exchange = self._exchange(space, nodes, number)
            aggregation = self._strategy.begin(exchange)
            # Step 3: nodes start where the strategy says, train, and send what they have trained.
            if nodes:
                own, taken = self._train_nodes(exchange, aggregation, keep_nodes=keep_nodes)
                losses[space.name] = sum(own.values()) / len(own)
                for node, loss in own.items():
                    node_losses[node][space.name] = loss
                steps += taken
            # Step 4: the strategy makes the server's adapter of it, and the server trains that on samples.
            if not skipped:
                adapters[space.name] = self._train_server(exchange, aggregation)
            # Step 5: nodes that were not there are left with what they would start from.
            for node in absent if keep_nodes else ():
                left = aggregation.initial([node], adapters[space.name])
                self.store.write(number, space.name, [node], left.expand(1, -1))
        self.adapters = adapters
        return Round(number, tuple(present), tuple(failed), skipped, losses, node_losses, steps)

    def evaluate(self, number: int) -> RetrievalAccuracy:
        """How good the adapters are after a round, for the clips of all nodes."""
        setup = self.setup
        owners = self._strategy.evaluated([node.id for node in setup.trainers])
        return reduce(
            add,
            (
                measure_retrieval(self.adapters_of(owner, number), setup.spaces, setup.held_out, setup.classes)
                for owner in owners
            ),
        )

    def adapters_of(self, owner: Owner, number: int) -> Mapping[str, Tensor]:
        """Adapters after a round by space, flat parameters [parameters].

        Args:
            owner: a node of which they were kept in that round, or None for the server.
            number: of the round.
        """
        if owner is None:
            return self.adapters
        return {space.name: self.store.read(number, space.name, [owner])[0] for space in self.setup.spaces}

    def _exchange(self, space: Space, nodes: tuple[Node, ...], number: int) -> Exchange:
        setup = self.setup
        return Exchange(
            number=number,
            space=space,
            nodes=nodes,
            server=self.adapters[space.name],
            store=self.store,
            training=ServerTraining(
                section=setup.profile.adapter,
                epochs=setup.profile.federation.server_epochs,
                learning_rate_share=setup.learning_rate_share(number),
                device=setup.device,
                seed=setup.seed,
                number=number,
            ),
            pool=self._pool,
            samples=self._server_samples,
        )

    def _train_nodes(
        self, exchange: Exchange, aggregation: Aggregation, *, keep_nodes: bool
    ) -> tuple[dict[int, float], int]:
        """The loss of each node, and the steps of all."""
        space, number = exchange.space, exchange.number
        losses: dict[int, float] = {}
        steps = 0
        for trained in self._local_training.train(
            space,
            self._pool,
            self._tasks(exchange),
            lambda nodes: aggregation.initial(nodes, exchange.server),
            number,
            self._on_narrowed,
        ):
            self._check_finite(exchange, trained)
            if keep_nodes:
                self.store.write(number, space.name, trained.nodes, trained.parameters)
            aggregation.add(trained)
            losses |= dict(zip(trained.nodes, trained.losses.tolist(), strict=True))
            steps += trained.steps * len(trained.nodes)
        return losses, steps

    def _train_server(self, exchange: Exchange, aggregation: Aggregation) -> Tensor:
        server, space = aggregation.server(), exchange.space
        if "server" in self.setup.sample_uses:
            server = exchange.training.fine_tune(server, exchange.samples, space, self._pool)
        if not torch.isfinite(server).all():
            raise FailedError(
                f"server: the adapter to {space.name} became NaN or infinite in round {exchange.number}",
                [f"the step of strategy {self._strategy.name} is likely too large", "nothing of this round is saved"],
                hint="--set federation.server_learning_rate=0.001",
            )
        return server

    def _tasks(self, exchange: Exchange) -> list[Task]:
        share = self.setup.learning_rate_share(exchange.number)
        space = exchange.space.name
        return [Task(node.id, self._items_of(node), share * node.learning_rates[space]) for node in exchange.nodes]

    def _items_of(self, node: Node) -> Tensor:
        if node.id not in self._items:
            self._items[node.id] = node.items(self._samples_of(node))
        return self._items[node.id]

    def _samples_of(self, node: Node) -> Tensor:
        if self._samples is None or "local" not in self.setup.sample_uses:
            return torch.zeros(0, dtype=torch.long)
        return self._samples.for_node(node.id, node.samples_per_class) + self._pool.clips

    def _draw(self, number: int) -> None:
        """Samples of this round, or of the whole run."""
        setup = self.setup
        once = setup.profile.synthetic.refresh == "once"
        if not setup.sample_uses or (once and self._samples is not None):
            return
        per_class = setup.most_samples_per_class
        self._samples = draw_samples(setup.generators, setup.classes, per_class, setup.seed, 0 if once else number)
        self._pool = setup.clips.with_samples(setup.standardisation(self._samples.embeddings), self._samples.labels)
        self._items = {}
        self._server_samples = self._samples.for_node(None, per_class) + self._pool.clips

    def _check_finite(self, exchange: Exchange, trained: Trained) -> None:
        # A norm is finite only where every parameter is, and takes a tenth of the time; one that overflows is no proof.
        norms = torch.linalg.vector_norm(trained.parameters, dim=1).cpu()
        if (trained.losses + norms).isfinite().all():
            return
        finite = trained.losses.isfinite() & trained.parameters.isfinite().all(1).cpu()
        nodes, space = {node.id: node for node in exchange.nodes}, exchange.space.name
        for node, is_finite in zip(trained.nodes, finite.tolist(), strict=True):
            if not is_finite:
                rate = nodes[node].learning_rates[space]
                raise FailedError(
                    f"{nodes[node]}: the loss of the adapter to {space} became NaN or infinite in round "
                    f"{exchange.number}",
                    [f"the learning rate {rate:g} is likely too high for its clips", "nothing of this round is saved"],
                    hint=f"--set adapter.{space}_learning_rate={rate / 10:g}",
                )
