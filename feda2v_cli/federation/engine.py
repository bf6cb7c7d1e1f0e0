"""Where nodes are. A round asks two things of them, and does not know whether they are in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from feda2v_cli.federation.local_training import LocalTraining, Task, Trained
from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.retrieval import RetrievalAccuracy, measure_retrieval
from feda2v_cli.federation.sampled_pool import SampledPool
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space

#: Where nodes start in a target space, by their ids: [nodes, parameters], or [parameters] for one and the same.
Initial = Callable[[Sequence[int]], Tensor]


class Answers(ABC):
    """What nodes have trained in a round.

    Attributes:
        nodes: those that answered, in the order of those that were asked.
        failed: ids of those that were asked and did not answer.
    """

    nodes: tuple[Node, ...]
    failed: tuple[int, ...]

    @abstractmethod
    def of(self, space: Space) -> Iterator[Trained]:
        """What they have trained in a target space, stack by stack, in the order of `local_training.stacks_of`.

        Each only lasts as long as it is looked at.
        """


class Engine(ABC):
    """Reaches the nodes of a federation."""

    @abstractmethod
    def train(self, number: int, nodes: Sequence[Node], initial: Mapping[str, Initial]) -> Answers:
        """Have nodes train for a round.

        Args:
            number: of the round, from 1.
            nodes: that are asked, at least one.
            initial: where they start, by target space.
        """

    @abstractmethod
    def evaluate(self, adapters: Iterable[Mapping[str, Tensor]]) -> RetrievalAccuracy:
        """Ask adapters for the class of the clips that all nodes hold out; the counts of several are added.

        Args:
            adapters: flat parameters [parameters] by target space, of one owner or of several.
        """


class LocalEngine(Engine):
    """All nodes in this process, many trained at once.

    Args:
        setup: the federation.
        sampled: the clips of all nodes.
        training: how nodes train.
        on_narrowed: is told when memory ran out, how many were trained at once and how many will be.
    """

    def __init__(
        self, setup: Setup, sampled: SampledPool, training: LocalTraining, on_narrowed: Callable[[int, int], None]
    ) -> None:
        self._setup = setup
        self._sampled = sampled
        self._training = training
        self._on_narrowed = on_narrowed

    def train(self, number: int, nodes: Sequence[Node], initial: Mapping[str, Initial]) -> Answers:
        """Have nodes train, when their answers are looked at."""
        self._sampled.draw(number)
        return _LocalAnswers(
            tuple(nodes),
            lambda space: self._training.train(
                space,
                self._sampled.pool,
                self.tasks(space, nodes, number),
                initial[space.name],
                number,
                self._on_narrowed,
            ),
        )

    def tasks(self, space: Space, nodes: Sequence[Node], number: int) -> list[Task]:
        """What nodes train on in a round, and how fast."""
        share = self._setup.learning_rate_share(space.name, number)
        return [Task(node.id, self._sampled.items_of(node), share * node.learning_rates[space.name]) for node in nodes]

    def evaluate(self, adapters: Iterable[Mapping[str, Tensor]]) -> RetrievalAccuracy:
        """Ask adapters for the class of every clip that is held out."""
        setup = self._setup
        return RetrievalAccuracy.total(
            measure_retrieval(one, setup.spaces, setup.held_out, setup.classes) for one in adapters
        )


class _LocalAnswers(Answers):
    def __init__(self, nodes: tuple[Node, ...], train: Callable[[Space], Iterator[Trained]]) -> None:
        self.nodes, self.failed = nodes, ()
        self._train = train

    def of(self, space: Space) -> Iterator[Trained]:
        return self._train(space)
