"""One shot: the server trains on samples alone. Generators go to it once, the adapters come back, and that is all.

(Guha et al., One-Shot Federated Learning, 2019, with models of the data in the place of models of the task.) A round is
a stretch of the server's training, with samples of its own; no node takes part in it.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from feda2v_cli.errors import UsageError
from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.strategy.strategy import Aggregation, Exchange, Owner, Strategy
from feda2v_cli.profile.schema import Profile, SyntheticSection


class OneShot(Strategy):
    """The server's adapter is what it has trained itself, on samples of all classes."""

    exchanges_every_round = False

    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin a round in which no node sends anything."""
        return _OneShot(exchange)

    def check(self, profile: Profile) -> None:
        """Make sure that there are samples to train on. No node has to answer: a quorum means nothing.

        Raises:
            UsageError: there are none.
        """
        if profile.synthetic.per_class == 0:
            raise UsageError(
                "strategy one_shot trains on synthetic samples alone, and synthetic.per_class is 0",
                ["without samples no adapter would ever move"],
                hint="--synthetic-per-class 10",
            )

    def sample_uses(self, synthetic: SyntheticSection) -> tuple[str, ...]:  # noqa: ARG002 - there is no other use
        """Training on the server, whatever the profile says."""
        return ("server",)

    def trainers(self, nodes: Sequence[Node], learning_rates: Mapping[str, float]) -> tuple[Node, ...]:  # noqa: ARG002
        """No node."""
        return ()

    def saved(self, nodes: Sequence[int]) -> list[Owner]:  # noqa: ARG002 - they have trained nothing
        """The server's alone."""
        return [None]


class _OneShot(Aggregation):
    def add(self, trained: Trained) -> None:
        raise ValueError(f"nodes {trained.nodes} have trained in a round without nodes")

    def server(self) -> Tensor:
        return self.exchange.server
