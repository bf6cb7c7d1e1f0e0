"""None: every node trains alone and exchanges nothing. It is what a federation has to be better than."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.node_store import NodeStore
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Owner, Strategy


class Alone(Strategy):
    """Nodes keep their own adapters from round to round; the server's stays where it started."""

    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin a round in which nodes that do not train keep what they have."""
        store, space = exchange.store, exchange.space.name
        if exchange.number == 1:
            store.fill(0, space, exchange.server)
        store.carry_over(exchange.number, space)
        return _Alone(exchange)

    def saved(self, nodes: Sequence[int]) -> list[Owner]:
        """The nodes' own."""
        return list(nodes)

    def evaluated(self, nodes: Sequence[int]) -> list[Owner]:
        """Every node answers for itself: what a node is worth that is asked for any class of the federation."""
        return list(nodes)

    def state(self, store: NodeStore, number: int) -> dict[str, Any]:
        """Nothing but the nodes' adapters."""
        store.sync(number)
        return {}


class _Alone(Aggregation):
    def initial(self, nodes: Sequence[int], server: Tensor) -> Tensor:  # noqa: ARG002 - they never hear of the server
        return self.exchange.store.read(self.exchange.number - 1, self.exchange.space.name, nodes)

    def add(self, trained: Trained) -> None:
        self.exchange.store.write(self.exchange.number, self.exchange.space.name, trained.nodes, trained.parameters)

    def server(self) -> Tensor:
        return self.exchange.server
