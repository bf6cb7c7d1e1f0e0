"""Distillation: the server learns what the nodes' adapters answer to synthetic samples.

(Hinton et al., Distilling the Knowledge in a Neural Network, 2015; over nodes: Lin et al., Ensemble Distillation for
Robust Model Fusion, 2020.) A node teaches the classes that it knows and no other: what an adapter answers to a class
that it has never seen is noise, and drags the server back to it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from feda2v_cli.engine.stack import parameters_of
from feda2v_cli.engine.train import Loss
from feda2v_cli.errors import FailedError, UsageError
from feda2v_cli.federation.inputs import slices_of_places
from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.pool import Node, Pool
from feda2v_cli.federation.space import Space
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Strategy, refuse_unreachable_quorum
from feda2v_cli.profile.schema import Profile, SyntheticSection
from feda2v_cli.threads import threads_per_operation


class Distilling(Strategy):
    """The server keeps its own adapter, and trains it on the nodes' answers."""

    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin with the samples of the round, and no teacher."""
        return _Distilling(exchange)

    def check(self, profile: Profile) -> None:
        """Make sure that there are samples to distil on.

        Raises:
            UsageError: there are none, or no round can reach the quorum.
        """
        refuse_unreachable_quorum(profile)
        if profile.synthetic.per_class == 0:
            raise UsageError(
                "strategy kd distils on synthetic samples, and synthetic.per_class is 0",
                ["without samples no adapter would ever move"],
                hint="--synthetic-per-class 10",
            )

    def sample_uses(self, synthetic: SyntheticSection) -> tuple[str, ...]:
        """Distillation, whatever else."""
        return (*super().sample_uses(synthetic), "kd")


class _Distilling(Aggregation):
    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._nodes = {node.id: node for node in exchange.nodes}
        self._teachers = Teachers(exchange.space, exchange.pool, exchange.samples)

    def add(self, trained: Trained) -> None:
        self._teachers.add(trained.parameters, [self._nodes[node] for node in trained.nodes])

    def server(self) -> Tensor:
        exchange = self.exchange
        samples, targets = self._teachers.targets()
        if not len(samples):
            raise FailedError(
                f"round {exchange.number}: no node that takes part knows a class of which there are samples",
                ["distillation has no teacher"],
                hint="--set federation.fraction=1.0, or another strategy: --strategy fedavg",
            )
        loss = distillation_loss(exchange.space, exchange.pool, exchange.training.section.noise)
        items = {"item": samples, "target": targets.to(exchange.training.device)}
        return exchange.training.train(exchange.server, items, loss, exchange.space, exchange.pool, "distil")


class Teachers:
    """Mean outputs of the teachers of each sample. Stacks of teachers are added one after the other.

    Args:
        space: adapter and targets.
        pool: the samples stand in it.
        samples: their places, sorted by their tokens, [samples].
    """

    def __init__(self, space: Space, pool: Pool, samples: Tensor) -> None:
        self._space = space
        self._embeddings = pool.embeddings
        self._labels = pool.labels[samples].cpu()
        self._samples = samples
        self._total = torch.zeros(len(samples), *space.adapter.target, dtype=torch.double)
        self._count = torch.zeros(len(samples))

    def add(self, parameters: Tensor, nodes: Sequence[Node]) -> None:
        """Let nodes teach the classes that they know.

        Args:
            parameters: of their adapters, [nodes, parameters].
            nodes: in the same order.
        """
        adapter, shapes = self._space.adapter, self._space.shapes
        with torch.no_grad(), threads_per_operation(1):
            for flat, node in zip(parameters, nodes, strict=True):
                knows = torch.isin(self._labels, torch.tensor(sorted(node.clips_of_class)))
                if knows.any():
                    own = parameters_of(flat, shapes)
                    for part in slices_of_places(self._embeddings, self._samples):
                        inputs = self._embeddings[self._samples[part]]
                        output: Tensor = functional_call(adapter, own, (inputs,))
                        self._total[part][knows[part]] += output.cpu()[knows[part]].double()
                    self._count += knows

    def targets(self) -> tuple[Tensor, Tensor]:
        """Places of the samples that have a teacher, and the mean of their teachers' outputs, [samples, *target]."""
        taught = self._count > 0
        means = self._total[taught] / self._count[taught].view(-1, *(1,) * len(self._space.adapter.target))
        return self._samples[taught.to(self._samples.device)], means.float()


def distillation_loss(space: Space, pool: Pool, input_noise: float) -> Loss:
    """The mean squared error between the server's output and the mean output of a sample's teachers.

        L(w) = ‖ f(x; w) − 1/|T(x)| Σ_{k ∈ T(x)} f(x; w_k) ‖² / dim f

    with T(x) the nodes that know the class of sample x (Lin et al., 2020, averages the teachers' logits likewise).

    Args:
        space: the adapter.
        pool: the samples.
        input_noise: standard deviation of noise on the inputs.

    Returns:
        A loss on samples `input` [items, tokens, dim] and their teachers' `target` [items, *target].
    """

    def loss(
        parameters: Mapping[str, Tensor],
        batch: Mapping[str, Tensor],
        noise: Tensor,
        progress: Tensor,  # noqa: ARG001 - every round is like the first
    ) -> dict[str, Tensor]:
        inputs = pool.noisy(batch["input"], input_noise, noise)
        output = functional_call(space.adapter, dict(parameters), (inputs,))
        return {"loss": (output - batch["target"]).square().flatten(1).mean(1)}

    return loss
