"""The round: nodes train, and the server makes one adapter of what they send. Which one, the strategy says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.engine import Answers, Engine, LocalEngine
from feda2v_cli.federation.local_training import LocalTraining, Trained
from feda2v_cli.federation.node_store import NodeStore
from feda2v_cli.federation.pool import Node, participants
from feda2v_cli.federation.retrieval import RetrievalAccuracy
from feda2v_cli.federation.sampled_pool import SampledPool
from feda2v_cli.federation.server_training import ServerTraining
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Owner


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
        directory: where the nodes' own adapters lie, if they are kept, and samples that are too large for memory.
        on_narrowed: is told when memory ran out, how many were trained at once and how many will be.
        engine: reaches the nodes; None when they are in this process.

    Attributes:
        setup: the federation.
        store: the nodes' own adapters.
        adapters: the server's by space, flat parameters [parameters].
    """

    def __init__(
        self,
        setup: Setup,
        directory: Path,
        on_narrowed: Callable[[int, int], None],
        engine: Engine | None = None,
    ) -> None:
        self.setup = setup
        self.adapters = {space.name: space.initial_parameters(setup.seed) for space in setup.spaces}
        self.store = NodeStore(
            directory, [node.id for node in setup.trainers], {name: len(flat) for name, flat in self.adapters.items()}
        )
        self._strategy = make_strategy(setup.profile.federation)
        self._sampled = SampledPool(setup.clips, setup.sampling, directory / "samples.bin")
        self._engine = engine or LocalEngine(setup, self._sampled, local_training(setup), on_narrowed)

    @property
    def exchanges_every_round(self) -> bool:
        """Whether nodes and server exchange something in every round."""
        return self._strategy.exchanges_every_round

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
        # Step 1: some nodes are asked, with what the strategy lets them start from, and some of them answer.
        ids = [node.id for node in setup.trainers]
        quorum = min(section.quorum, len(ids))
        dropout = section.dropout if self._strategy.can_fail else 0.0
        chosen, dropped = participants(ids, section.fraction, dropout, setup.seed, number)
        enough = len(chosen) >= quorum
        if enough and setup.server_samples:
            self._sampled.draw(number)
        asked = tuple(node for node in setup.trainers if node.id in set(chosen)) if enough else ()
        aggregations = self._begin(asked, number)
        answers = self._ask(asked, aggregations, number)
        # Step 2: with too few, nothing changes; with fewer than were asked, it is a round of those.
        failed = set(answers.failed) if answers else set()
        answered = [node for node in chosen if node not in failed]
        skipped = len(answered) < quorum
        nodes = answers.nodes if answers and not skipped else ()
        if nodes != asked:
            aggregations = self._begin(nodes, number)
        there = {node.id for node in nodes}
        absent = [node for node in ids if node not in there]
        adapters, losses, steps = dict(self.adapters), {}, 0
        node_losses: dict[int, dict[str, float]] = {node.id: {} for node in nodes}
        for space in setup.spaces:
            aggregation = aggregations[space.name]
            # Step 3: the strategy takes in what nodes have trained.
            if nodes and answers:
                own, taken = self._take_in(answers, space, aggregation, keep_nodes=keep_nodes)
                losses[space.name] = sum(own.values()) / len(own)
                for node, loss in own.items():
                    node_losses[node][space.name] = loss
                steps += taken
            # Step 4: it makes the server's adapter of it, and the server trains that on samples.
            if not skipped:
                adapters[space.name] = self._train_server(aggregation)
            # Step 5: nodes that were not there are left with what they would start from.
            for node in absent if keep_nodes else ():
                left = aggregation.initial([node], adapters[space.name])
                self.store.write(number, space.name, [node], left.expand(1, -1))
        self.adapters = adapters
        without = tuple(sorted({*dropped, *failed}))
        return Round(number, tuple(answered), without, skipped, losses, node_losses, steps)

    def evaluate(self, number: int) -> RetrievalAccuracy:
        """How good the adapters are after a round, for the clips of all nodes."""
        owners = list(self.setup.trained) or self._strategy.evaluated([node.id for node in self.setup.trainers])
        return self._engine.evaluate(self.adapters_of(owner, number) for owner in owners)

    def adapters_of(self, owner: Owner, number: int) -> Mapping[str, Tensor]:
        """Adapters after a round by space, flat parameters [parameters].

        Args:
            owner: a node of which they were kept in that round, or None for the server.
            number: of the round.
        """
        if owner in self.setup.trained:
            return self.setup.trained[owner]
        if owner is None:
            return self.adapters
        return {space.name: self.store.read(number, space.name, [owner])[0] for space in self.setup.spaces}

    def _begin(self, nodes: tuple[Node, ...], number: int) -> dict[str, Aggregation]:
        """An aggregation for each target space, of nodes that are asked or that have answered."""
        return {space.name: self._strategy.begin(self._exchange(space, nodes, number)) for space in self.setup.spaces}

    def _ask(self, nodes: tuple[Node, ...], aggregations: Mapping[str, Aggregation], number: int) -> Answers | None:
        if not nodes:
            return None
        initial = {name: partial(_initial, aggregation) for name, aggregation in aggregations.items()}
        return self._engine.train(number, nodes, initial)

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
                learning_rate_share=setup.learning_rate_share(space.name, number),
                device=setup.device,
                seed=setup.seed,
                number=number,
            ),
            sampled=self._sampled,
        )

    def _take_in(
        self, answers: Answers, space: Space, aggregation: Aggregation, *, keep_nodes: bool
    ) -> tuple[dict[int, float], int]:
        """The loss of each node, and the steps of all."""
        exchange = aggregation.exchange
        losses: dict[int, float] = {}
        steps = 0
        for trained in answers.of(space):
            self._check_finite(exchange, trained)
            if keep_nodes:
                self.store.write(exchange.number, space.name, trained.nodes, trained.parameters)
            aggregation.add(trained)
            losses |= dict(zip(trained.nodes, trained.losses.tolist(), strict=True))
            steps += trained.steps * len(trained.nodes)
        return losses, steps

    def _train_server(self, aggregation: Aggregation) -> Tensor:
        exchange = aggregation.exchange
        server, space = aggregation.server(), exchange.space
        if "server" in self.setup.sample_uses:
            server = exchange.training.fine_tune(server, exchange.samples, space, exchange.pool)
        if not torch.isfinite(server).all():
            raise FailedError(
                f"server: the adapter to {space.name} became NaN or infinite in round {exchange.number}",
                [f"the step of strategy {self._strategy.name} is likely too large", "nothing of this round is saved"],
                hint="--set federation.server_learning_rate=0.001",
            )
        return server

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


def local_training(setup: Setup) -> LocalTraining:
    """How the nodes of a federation train, wherever they are."""
    return LocalTraining(
        section=setup.profile.adapter,
        epochs=setup.profile.federation.local_epochs,
        proximal=make_strategy(setup.profile.federation).proximal,
        budget=setup.budget,
        device=setup.device,
        seed=setup.seed,
    )


def _initial(aggregation: Aggregation, nodes: Sequence[int]) -> Tensor:
    return aggregation.initial(nodes, aggregation.exchange.server)
