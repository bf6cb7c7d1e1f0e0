"""Averaging: the server has a weighted mean of what the nodes have trained, or moves towards it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.node_store import NodeStore
from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.strategy.server_optimiser import MakeOptimiser, adam, move_server, sgd, yogi
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Strategy
from feda2v_cli.profile.schema import FederationSection

#: Step of FedAdam and FedYogi when the profile does not say: about how far a parameter moves in a round.
ADAPTIVE_LEARNING_RATE = 1e-2


class FedAvg(Strategy):
    """Federated averaging (McMahan et al., Communication-Efficient Learning of Deep Networks, 2017, algorithm 1)."""

    def __init__(self, section: FederationSection) -> None:
        super().__init__(section)
        self._clips_count = section.weighting == "clips"

    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin a weighted mean."""
        return _Averaging(exchange, self.weights(exchange.nodes), self.step)

    def weights(self, nodes: Sequence[Node]) -> Tensor:
        """What each node counts in the mean, [nodes]."""
        return by_clips(nodes) if self._clips_count else torch.ones(len(nodes))

    def step(self, exchange: Exchange, average: Tensor) -> Tensor:  # noqa: ARG002 - it puts the mean in its place
        """The server's adapter after a round, [parameters].

        Args:
            exchange: the round.
            average: of what the nodes have trained, [parameters].
        """
        return average


class FedProx(FedAvg):
    """Nodes are held near the server's adapter (Li et al., Federated Optimization in Heterogeneous Networks, 2020)."""

    def __init__(self, section: FederationSection) -> None:
        super().__init__(section)
        self.proximal = section.proximal


class PerClassAverage(FedAvg):
    """A class that few nodes hold is not outvoted by those that many hold."""

    def weights(self, nodes: Sequence[Node]) -> Tensor:
        """What each node counts in the mean, [nodes]."""
        return by_class(nodes, clips_count=self._clips_count)


class FedOpt(FedAvg):
    """The mean update of a round is a gradient for an optimiser of the server (Reddi et al., 2021, algorithm 2).

    Args:
        section: of the profile.
        make: makes the optimiser.
    """

    def __init__(self, section: FederationSection, make: MakeOptimiser) -> None:
        super().__init__(section)
        self._make = make
        self._states: dict[str, dict[str, Any]] = {}

    def step(self, exchange: Exchange, average: Tensor) -> Tensor:
        """The server's adapter after a step of the optimiser, [parameters]."""
        space = exchange.space.name
        moved, self._states[space] = move_server(self._make, self._states.get(space), exchange.server, average)
        return moved

    def state(self, store: NodeStore, number: int) -> dict[str, Any]:  # noqa: ARG002 - it needs no adapters of nodes
        """What the optimisers remember, by target space."""
        return {"optimisers": dict(self._states)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`."""
        self._states = dict(state["optimisers"])


class FedAvgM(FedOpt):
    """Averaging with momentum (Hsu et al., Measuring the Effects of Non-Identical Data Distribution, 2019)."""

    def __init__(self, section: FederationSection) -> None:
        momentum = section.server_momentum
        # Momentum adds updates up; with this rate an update's steps add up to the update and no more.
        super().__init__(section, sgd(section.server_learning_rate or 1 - momentum, momentum))


class FedAdam(FedOpt):
    """Averaging with Adam on the server (Reddi et al., 2021)."""

    def __init__(self, section: FederationSection) -> None:
        super().__init__(section, adam(section.server_learning_rate or ADAPTIVE_LEARNING_RATE))


class FedYogi(FedOpt):
    """Averaging with Yogi on the server (Reddi et al., 2021)."""

    def __init__(self, section: FederationSection) -> None:
        super().__init__(section, yogi(section.server_learning_rate or ADAPTIVE_LEARNING_RATE))


class _Averaging(Aggregation):
    """A mean that becomes the server's adapter.

    Args:
        exchange: the round.
        weights: what each of its nodes counts, [nodes].
        step: makes the server's adapter of the round and the mean.
    """

    def __init__(self, exchange: Exchange, weights: Tensor, step: Callable[[Exchange, Tensor], Tensor]) -> None:
        super().__init__(exchange)
        self._weights = {node.id: weight for node, weight in zip(exchange.nodes, weights.tolist(), strict=True)}
        self._mean = Mean()
        self._step = step

    def add(self, trained: Trained) -> None:
        self._mean.add(trained.parameters, torch.tensor([self._weights[node] for node in trained.nodes]))

    def server(self) -> Tensor:
        return self._step(self.exchange, self._mean.result())


class Mean:
    """The weighted mean of adapters, taken as they come.

        w_{t+1} = Σ_k (n_k / n) w_{t+1}^k,  n = Σ_k n_k

    where w^k are the parameters of node k and n_k is its weight. It keeps one sum however many nodes there are, and
    adds node by node in double precision: the result does not depend on how the nodes were stacked.
    """

    def __init__(self) -> None:
        self._total: Tensor | None = None
        self._weight = 0.0

    def add(self, parameters: Tensor, weights: Tensor) -> None:
        """Add adapters.

        Args:
            parameters: of each, [nodes, parameters].
            weights: what each counts, [nodes].
        """
        parameters = parameters.detach().cpu()
        if self._total is None:
            self._total = torch.zeros_like(parameters[0], dtype=torch.double)
        # One adapter at a time becomes double: it stays in the cache, where the whole stack would be twice its size.
        for one, weight in zip(parameters, weights.tolist(), strict=True):
            self._total.add_(one, alpha=weight)
            self._weight += weight

    def result(self) -> Tensor:
        """The mean, [parameters]."""
        assert self._total is not None
        return (self._total / self._weight).float()


def by_clips(nodes: Sequence[Node]) -> Tensor:
    """A node counts as much as it has clips, [nodes]. Synthetic samples do not count: they are others' clips."""
    return torch.tensor([float(node.told_clips) for node in nodes])


def by_class(nodes: Sequence[Node], *, clips_count: bool) -> Tensor:
    """Every class counts alike, and is divided among the nodes that hold it, [nodes].

        weight of node k = 1/C Σ_c n_{k,c} / Σ_j n_{j,c}

    with n_{k,c} clips of class c on node k and C classes: the mean over classes of the mean over the nodes that know
    the class.

    Args:
        nodes: that take part.
        clips_count: whether a class is divided by clips; else every node that holds it counts as if it had one.
    """
    holdings = [{label: clips if clips_count else 1 for label, clips in node.clips_of_class.items()} for node in nodes]
    total: dict[int, int] = {}
    for holding in holdings:
        for label, clips in holding.items():
            total[label] = total.get(label, 0) + clips
    shares = [sum(clips / total[label] for label, clips in holding.items()) for holding in holdings]
    return torch.tensor(shares) / len(total)
