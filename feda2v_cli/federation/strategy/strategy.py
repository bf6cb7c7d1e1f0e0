"""What a strategy is: three hooks in the round, and what has to be known of it before the first.

The hooks are an `Aggregation`'s: where nodes start, take in what they send, what the server has then. They exchange
values alone, so that it does not matter where the nodes are. What lasts longer than a round is a `Strategy`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from feda2v_cli.errors import UsageError
from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.node_store import NodeStore
from feda2v_cli.federation.pool import Node, Pool, number_asked
from feda2v_cli.federation.sampled_pool import SampledPool
from feda2v_cli.federation.server_training import ServerTraining
from feda2v_cli.federation.space import Space
from feda2v_cli.profile.schema import FederationSection, Profile, SyntheticSection

#: Whose adapters something is about: a node's, by its id, or the server's.
Owner = int | None


@dataclass(frozen=True)
class Exchange:
    """A round of one target space, as a strategy sees it.

    Attributes:
        number: of the round, from 1.
        space: its adapter and targets.
        nodes: those that train in this round; none in a round that is skipped.
        server: the server's adapter before the round, flat parameters [parameters].
        store: the nodes' own adapters, of this round and of the one before.
        training: trains the server's adapter on samples.
        sampled: the clips that the server knows, and the samples of the round.
    """

    number: int
    space: Space
    nodes: tuple[Node, ...]
    server: Tensor
    store: NodeStore
    training: ServerTraining
    sampled: SampledPool

    @property
    def pool(self) -> Pool:
        """The clips that the server knows, and the samples of the round."""
        return self.sampled.pool

    @property
    def samples(self) -> Tensor:
        """Samples for the server, as places in the pool, sorted by their tokens, [samples]."""
        return self.sampled.for_server()


class Aggregation(ABC):
    """What a strategy does in one round of one target space. Nodes and server exchange nothing but values.

    Args:
        exchange: the round.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def initial(self, nodes: Sequence[int], server: Tensor) -> Tensor:  # noqa: ARG002 - one for all
        """Where nodes start, [nodes, parameters], or [parameters] for one and the same.

        It is also what nodes that were not there are left with after the round.

        Args:
            nodes: their ids.
            server: what the server has, [parameters].
        """
        return server

    @abstractmethod
    def add(self, trained: Trained) -> None:
        """Take in what some nodes send. Every node sends once, in whatever stack it was trained."""

    @abstractmethod
    def server(self) -> Tensor:
        """What the server has after every node has sent, [parameters]."""


class Strategy(ABC):
    """How the nodes' adapters become the server's. What is not said otherwise is so for most strategies.

    An object belongs to one federation: it may remember from round to round, for each target space.

    Args:
        section: of the profile.

    Attributes:
        name: as the profile has it.
        proximal: weight of the proximal term in the nodes' loss.
        can_fail: whether nodes that train can fail to answer, so that dropout is simulated on them.
        remark: what the user should know of it before the run; None for nothing.
        exchanges_every_round: whether nodes and server exchange something in every round. If not, nodes give their
            generators before the first, and have the adapters after the last: nothing is evaluated in between.
        needs_clips_in_one_place: whether it is no federation, and runs only where all clips are.
    """

    proximal: float = 0.0
    can_fail: bool = True
    remark: str | None = None
    exchanges_every_round: bool = True
    needs_clips_in_one_place: bool = False

    def __init__(self, section: FederationSection) -> None:
        self.name: str = section.strategy

    @abstractmethod
    def begin(self, exchange: Exchange) -> Aggregation:
        """Begin a round of a target space, even one that is skipped: nothing is added then."""

    def check(self, profile: Profile) -> None:
        """Make sure that a profile's values make sense with this strategy.

        Raises:
            UsageError: they do not.
        """
        refuse_unreachable_quorum(profile)
        refuse_distillation(profile)

    def sample_uses(self, synthetic: SyntheticSection) -> tuple[str, ...]:
        """What samples are used for: local, server, kd; nothing when none are needed."""
        return tuple(use for use in ("local", "server") if use in synthetic.use)

    def trainers(self, nodes: Sequence[Node], learning_rates: Mapping[str, float]) -> tuple[Node, ...]:  # noqa: ARG002
        """The nodes that train.

        Args:
            nodes: of the federation.
            learning_rates: of the profile, by target space.
        """
        return tuple(nodes)

    def saved(self, nodes: Sequence[int]) -> list[Owner]:
        """Whose adapters are kept when the run ends.

        Args:
            nodes: ids of the federation's nodes.
        """
        return [*nodes, None]

    def evaluated(self, nodes: Sequence[int]) -> list[Owner]:  # noqa: ARG002 - the server answers for all
        """Whose adapters are asked for the class of clips held out; the counts of several are added.

        Args:
            nodes: ids of the nodes that train.
        """
        return [None]

    def state(self, store: NodeStore, number: int) -> dict[str, Any]:  # noqa: ARG002 - most keep nothing there
        """What it has to know to go on after a round, beside the server's adapters.

        Args:
            store: the nodes' own adapters; what the next round needs of them has to be on the disk.
            number: of the round.
        """
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - most have none
        """Go back to a `state`, which may hold more than its own."""


def refuse_unreachable_quorum(profile: Profile) -> None:
    """Refuse a quorum that no round can reach.

    Raises:
        UsageError: it is more than the nodes that are asked.
    """
    quorum, asked = profile.federation.quorum, number_asked(len(profile.nodes), profile.federation.fraction)
    if quorum > asked:
        raise UsageError(
            f"federation.quorum = {quorum} — {asked} of {len(profile.nodes)} nodes are asked in a round",
            ["no round would count"],
            hint=f"--set federation.quorum={asked}",
        )


def refuse_distillation(profile: Profile) -> None:
    """Refuse samples for distillation alone, with a strategy that does not distil.

    Raises:
        UsageError: the profile says so.
    """
    if profile.synthetic.use == ("kd",):
        raise UsageError(
            f'synthetic.use = ["kd"] — strategy {profile.federation.strategy} does not distil',
            hint='--strategy kd, or --synthetic-use "local"',
        )
