"""The round: nodes train, the server makes one adapter of theirs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.local_training import LocalTraining, Task, Trained
from feda2v_cli.federation.node_store import NodeStore
from feda2v_cli.federation.participation import participants
from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.retrieval import RetrievalAccuracy, measure_retrieval
from feda2v_cli.federation.server_training import distil, fine_tune
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.strategy.distillation import Teaching
from feda2v_cli.federation.strategy.mean import Mean
from feda2v_cli.federation.strategy.robust import part_by_part
from feda2v_cli.federation.strategy.server_optimiser import ServerOptimiser
from feda2v_cli.federation.synthetic import Samples, draw_samples


@dataclass(frozen=True)
class Round:
    """What happened in a round.

    Attributes:
        number: from 1.
        present: ids of the nodes that took part.
        failed: ids of the nodes that were asked and did not answer.
        skipped: whether too few answered: nothing has changed.
        loss: mean over the nodes of the last epoch's loss, by space; empty when skipped.
        steps: optimiser steps of all nodes and spaces together.
    """

    number: int
    present: tuple[int, ...]
    failed: tuple[int, ...]
    skipped: bool
    loss: Mapping[str, float]
    steps: int


class Federation:
    """Runs rounds. Its state is what the server holds; nodes keep nothing but with the strategy none.

    Args:
        setup: the federation.
        store: the nodes' own adapters; written in rounds whose outcome of single nodes is wanted, and in every round
            where the strategy looks at all of them at once.
        on_narrowed: is told when memory ran out, how many were trained at once and how many will be.

    Attributes:
        rows: the server's adapters by space, [row].
    """

    def __init__(self, setup: Setup, store: NodeStore, on_narrowed: Callable[[int, int], None]) -> None:
        self.setup = setup
        self.strategy = setup.strategy
        self.rows = {space.name: space.initial_parameters(setup.seed) for space in setup.spaces}
        self._store = store
        self._on_narrowed = on_narrowed
        self._optimisers: dict[str, ServerOptimiser] = {}
        if self.strategy.optimiser is not None:
            make = self.strategy.optimiser
            self._optimisers = {name: ServerOptimiser(make, row) for name, row in self.rows.items()}
        self._pool = setup.clips
        self._items: dict[int, Tensor] = {}
        self._samples: Samples | None = None
        self._server_samples = torch.zeros(0, dtype=torch.long)

    def state(self) -> dict[str, Any]:
        """All that the next round has to know, beside the store."""
        return {"rows": self.rows, "optimisers": {name: made.state() for name, made in self._optimisers.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`."""
        self.rows = dict(state["rows"])
        for name, made in self._optimisers.items():
            made.restore(state["optimisers"][name])

    def run_round(self, number: int, *, keep_nodes: bool = False) -> Round:
        """Run one round. Unless it ends, the server's adapters are as they were.

        Args:
            number: from 1.
            keep_nodes: write every node's own adapters to the store.

        Raises:
            FailedError: a loss or an adapter is not finite, or memory does not suffice for one adapter.
        """
        setup, section = self.setup, self.setup.federation
        # Step 1: who takes part.
        ids = [node.id for node in setup.nodes]
        present, failed = participants(ids, section.fraction, section.dropout, setup.seed, number)
        skipped = len(present) < min(section.quorum, len(ids))
        asked = set() if skipped else set(present)
        chosen = [node for node in setup.nodes if node.id in asked]
        keeps = keep_nodes or not self.strategy.exchanges
        if keeps:
            self._prepare_store(number)
        # Step 2: samples for everyone.
        if chosen:
            self._draw(number)
        # Step 3: the nodes train; whatever they send is aggregated as it comes.
        rows, losses, steps = dict(self.rows), {}, 0
        for space in setup.spaces if chosen else ():
            rows[space.name], losses[space.name], taken = self._run_space(space, chosen, number, keeps=keeps)
            steps += taken
        # Step 4: nodes that were not there hear of the outcome.
        if keeps and self.strategy.exchanges:
            self._tell_absent(number, [node for node in ids if node not in asked], rows)
        self.rows = rows
        return Round(number, tuple(present), tuple(failed), skipped, losses, steps)

    def evaluate(self, number: int) -> RetrievalAccuracy:
        """How good the adapters are after a round, for the clips of all nodes.

        Without exchange every node answers for itself, and the counts of all are added: what a node is worth that is
        asked for any class of the federation.
        """
        setup = self.setup
        if self.strategy.exchanges:
            return measure_retrieval(self.rows, setup.spaces, setup.held_out, setup.classes)
        total: RetrievalAccuracy | None = None
        for node in setup.nodes:
            rows = {space.name: self._store.read(number, space.name, [node.id])[0] for space in setup.spaces}
            one = measure_retrieval(rows, setup.spaces, setup.held_out, setup.classes)
            total = one if total is None else total + one
        assert total is not None
        return total

    def _run_space(
        self, space: Space, chosen: Sequence[Node], number: int, *, keeps: bool
    ) -> tuple[Tensor, float, int]:
        """The server's adapter to a space after the round, the nodes' mean loss and their steps."""
        setup, strategy = self.setup, self.strategy
        by_id = {node.id: node for node in chosen}
        weight = dict(zip(by_id, strategy.weights(chosen).tolist(), strict=True))
        mean = Mean()
        teaching = Teaching(space, self._pool, self._server_samples) if strategy.distils else None
        losses: dict[int, float] = {}
        steps = 0
        for trained in self._local_training().train(
            space, self._pool, self._tasks(chosen, space, number), self._starts(space, number), number,
            self._on_narrowed,
        ):  # fmt: skip
            self._check_finite(space, trained, number)
            if keeps or strategy.robust is not None:
                self._store.write(number, space.name, trained.nodes, trained.rows)
            if teaching is not None:
                teaching.add(trained.rows, [by_id[node] for node in trained.nodes])
            elif strategy.exchanges and strategy.robust is None:
                mean.add(trained.rows, torch.tensor([weight[node] for node in trained.nodes]))
            losses |= dict(zip(trained.nodes, trained.losses.tolist(), strict=True))
            steps += trained.steps * len(trained.nodes)
        row = self.rows[space.name]
        if teaching is not None:
            row = distil(row, teaching, space, self._pool, setup, number)
        elif strategy.exchanges:
            together = mean.result() if strategy.robust is None else self._robust(space, list(by_id), number)
            row = self._moved(space, row, together)
        if setup.uses("server"):
            row = fine_tune(row, self._server_samples, space, self._pool, setup, number)
        if not torch.isfinite(row).all():
            raise FailedError(
                f"server: the adapter to {space.name} became NaN or infinite in round {number}",
                [f"the step of strategy {strategy.name} is likely too large", "nothing of this round is saved"],
                hint="--set federation.server_learning_rate=0.001",
            )
        return row, sum(losses.values()) / len(losses), steps

    def _robust(self, space: Space, nodes: Sequence[int], number: int) -> Tensor:
        aggregate = self.strategy.robust
        assert aggregate is not None
        width = len(self.rows[space.name])
        return part_by_part(
            aggregate, lambda part: self._store.read_part(number, space.name, nodes, part), len(nodes), width
        )

    def _moved(self, space: Space, row: Tensor, aggregate: Tensor) -> Tensor:
        made = self._optimisers.get(space.name)
        return aggregate if made is None else made.step(row, aggregate)

    def _local_training(self) -> LocalTraining:
        setup = self.setup
        section = setup.adapter
        return LocalTraining(
            batch_size=section.batch_size,
            weight_decay=section.weight_decay,
            noise=section.noise,
            clip_norm=section.clip_norm,
            epochs=setup.federation.local_epochs,
            proximal=self.strategy.proximal,
            budget=setup.budget,
            device=setup.device,
            seed=setup.seed,
        )

    def _tasks(self, chosen: Sequence[Node], space: Space, number: int) -> list[Task]:
        share = self.setup.learning_rate_share(number)
        return [Task(node.id, self._items_of(node), share * node.learning_rates[space.name]) for node in chosen]

    def _starts(self, space: Space, number: int) -> Callable[[Sequence[int]], Tensor]:
        if self.strategy.exchanges:
            return lambda nodes: self.rows[space.name]  # noqa: ARG005 - one for all
        return lambda nodes: self._store.read(number - 1, space.name, nodes)

    def _items_of(self, node: Node) -> Tensor:
        if node.id not in self._items:
            self._items[node.id] = node.items(self._samples_of(node))
        return self._items[node.id]

    def _samples_of(self, node: Node) -> Tensor:
        if self._samples is None or not self.setup.uses("local"):
            return torch.zeros(0, dtype=torch.long)
        return self._samples.for_node(node.id, node.samples_per_class) + self._pool.clips

    def _draw(self, number: int) -> None:
        """Samples of this round, or of the whole run."""
        setup = self.setup
        once = setup.synthetic.refresh == "once"
        if not any(map(setup.uses, ("local", "server", "kd"))) or (once and self._samples is not None):
            return
        self._samples = draw_samples(
            setup.generators, setup.classes, setup.samples_per_class, setup.seed, 0 if once else number
        )
        self._pool = setup.clips.with_samples(setup.standardisation(self._samples.embeddings), self._samples.labels)
        self._items = {}
        self._server_samples = self._samples.for_node(None, setup.samples_per_class) + self._pool.clips

    def _prepare_store(self, number: int) -> None:
        for space in self.setup.spaces:
            if self.strategy.exchanges:
                continue
            if number == 1:
                self._store.fill(0, space.name, self.rows[space.name])
            self._store.carry_over(number, space.name)

    def _tell_absent(self, number: int, absent: Sequence[int], rows: Mapping[str, Tensor]) -> None:
        for space in self.setup.spaces:
            self._store.write(number, space.name, absent, rows[space.name].expand(len(absent), -1))

    def _check_finite(self, space: Space, trained: Trained, number: int) -> None:
        # A norm is finite only where the whole row is, and takes a tenth of the time; one that overflowed is no proof.
        norms = torch.linalg.vector_norm(trained.rows, dim=1).cpu()
        if (trained.losses + norms).isfinite().all():
            return
        finite = trained.losses.isfinite() & trained.rows.isfinite().all(1).cpu()
        for node, is_finite in zip(trained.nodes, finite.tolist(), strict=True):
            if not is_finite:
                rates = {other.id: other.learning_rates[space.name] for other in self.setup.nodes}
                who = "central training" if node < 0 else f"node {node}"
                raise FailedError(
                    f"{who}: the loss of the adapter to {space.name} became NaN or infinite in round {number}",
                    [
                        f"the learning rate {rates[node]:g} is likely too high for its clips",
                        "nothing of this round is saved",
                    ],
                    hint=f"--set adapter.{space.name}_learning_rate={rates[node] / 10:g}",
                )
