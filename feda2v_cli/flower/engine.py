"""Asks nodes on other machines, with a deadline. Whoever does not answer, or not with what was asked, is left out."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from feda2v_cli.errors import FailedError, first_line
from feda2v_cli.federation.engine import Answers, Engine, Initial
from feda2v_cli.federation.local_training import Trained
from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.retrieval import RetrievalAccuracy
from feda2v_cli.federation.round import local_training
from feda2v_cli.federation.setup import Setup
from feda2v_cli.federation.space import Space
from feda2v_cli.flower.letter import Letter, LetterError
from feda2v_cli.flower.link import Link, Reply
from feda2v_cli.run.event import LettersExchanged, Listener, Noted, Warned

T = TypeVar("T")


@dataclass(frozen=True)
class _Update:
    """What a node has sent after a round, checked."""

    node: Node
    parameters: Mapping[str, Tensor]
    losses: Mapping[str, float]
    steps: Mapping[str, int]


class FlowerEngine(Engine):
    """Reaches nodes by letters.

    Args:
        link: to the server.
        setup: the federation; its pool and its held-out clips are empty, for they are the nodes'.
        tokens: of the clips of each node, by its id.
        checkpoints: all generators, whole files; empty when nodes need none.
        emit: is told who was left out, and what travelled.
        on_wait: called while answers are waited for; raises when waiting is no use.
    """

    def __init__(
        self,
        link: Link,
        setup: Setup,
        tokens: Mapping[int, int],
        checkpoints: Sequence[bytes],
        emit: Listener,
        on_wait: Callable[[], None],
    ) -> None:
        self._link = link
        self._setup = setup
        self._tokens = tokens
        self._emit = emit
        self._on_wait = on_wait
        self._deadline = setup.profile.federation.deadline
        self._training = local_training(setup)
        self._run = secrets.token_hex(8)
        self._widths = {space.name: len(space.initial_parameters(0)) for space in setup.spaces}
        self._checkpoints = tuple(checkpoints)
        self._prepared: set[int] = set()

    def train(self, number: int, nodes: Sequence[Node], initial: Mapping[str, Initial]) -> Answers:
        """Have nodes train, and wait for them."""
        self._wait_for_enough([node.id for node in nodes], self._setup.profile.federation.quorum)
        letters = {
            node.id: Letter(
                "train",
                {"run": self._run, "round": number},
                {f"start.{name}": _row(start, node.id) for name, start in initial.items()},
            )
            for node in nodes
        }
        replies = self._ask(letters, f"round {number}", number)
        updates = {}
        for node in nodes:
            update = self._accepted(replies[node.id], node, f"round {number}", self._update)
            if update is not None:
                updates[node.id] = update
        share = {space.name: self._setup.learning_rate_share(space.name, number) for space in self._setup.spaces}
        there = [node for node in nodes if node.id in updates]
        groups = self._groups(there, number)
        order = {
            name: self._training.order([(node.id, groups[node.id], own * node.learning_rates[name]) for node in there])
            for name, own in share.items()
        }
        return _FlowerAnswers(there, [node.id for node in nodes if node.id not in updates], updates, order)

    def evaluate(self, adapters: Iterable[Mapping[str, Tensor]]) -> RetrievalAccuracy:
        """Ask all nodes about adapters; of those that do not answer, the counts are missing.

        Raises:
            FailedError: no node with clips held out answers.
        """
        arrays = {
            f"adapter.{owner}.{name}": flat.detach().cpu()
            for owner, one in enumerate(adapters)
            for name, flat in one.items()
        }
        nodes = self._setup.nodes
        self._wait_for_enough([node.id for node in nodes], 1)
        replies = self._ask(
            {node.id: Letter("evaluate", {"run": self._run}, arrays) for node in nodes}, "evaluation", None
        )
        counts = [self._accepted(replies[node.id], node, "evaluation", self._counts) for node in nodes]
        there = [count for count in counts if count is not None]
        if not sum(int(count.confusion.sum()) for count in there):
            raise FailedError(
                "no node with clips held out has answered: nothing can be said of the adapters",
                ["what was done before is kept"],
                hint="start the nodes, then the same command with --resume",
            )
        return RetrievalAccuracy.total(there)

    def _wait_for_enough(self, nodes: Sequence[int], enough: int) -> None:
        """Wait until enough nodes are there. Without, a network that is away for a moment would skip round by round."""
        self._link.wait_for(
            nodes, min(enough, len(nodes)), self._deadline, lambda text: self._emit(Noted(text)), self._on_wait
        )

    def _groups(self, nodes: Sequence[Node], number: int) -> dict[int, dict[int, int]]:
        """How many items each node has trained on, by their tokens, the fewest first."""
        groups = {node.id: Counter({self._tokens[node.id]: len(node.clips)}) for node in nodes}
        if "local" in self._setup.sample_uses:
            sampling = self._setup.sampling
            deal = sampling.deal(number)
            for node in nodes:
                groups[node.id].update(deal.tokens[sampling.of_node(deal, node)].tolist())
        return {node: dict(sorted(of_node.items())) for node, of_node in groups.items()}

    def _ask(self, letters: Mapping[int, Letter], what: str, number: int | None) -> dict[int, Reply]:
        """The nodes' answers, sorted. A node that is new, or that has been started anew, is told of the setup first."""
        sent = [self._with_setup(node, letter) for node, letter in letters.items() if node not in self._prepared]
        asked = dict(letters) | dict(sent)
        size = sum(letter.bytes for letter in asked.values())
        told = {node for node, _ in sent}

        def follow(node: int, answer: Letter) -> Letter | None:
            nonlocal size
            if answer.kind != "unprepared" or node in told:
                return None
            told.add(node)
            again = self._with_setup(node, letters[node])[1]
            size += again.bytes
            return again

        replies = self._link.ask(asked, self._deadline, self._on_wait, follow)
        came = [reply.letter for reply in replies.values() if reply.letter is not None]
        self._prepared |= {node for node, reply in replies.items() if reply.letter is not None and node in told}
        computing = [float(letter.values.get("seconds", 0.0)) for letter in came]
        self._emit(
            LettersExchanged(
                what, number, len(asked), size, sum(letter.bytes for letter in came),
                max((reply.seconds for reply in replies.values()), default=0.0), max(computing, default=0.0),
            )
        )  # fmt: skip
        return replies

    def _with_setup(self, node: int, letter: Letter) -> tuple[int, Letter]:
        setup, profile = self._setup, self._setup.profile
        given = {
            "seed": setup.seed,
            "adapter": profile.adapter.model_dump(mode="json", exclude={"targets"}),
            "federation": profile.federation.model_dump(mode="json"),
            "synthetic": profile.synthetic.model_dump(mode="json"),
            "nodes": [
                {
                    "id": member.id,
                    "classes": list(section.classes),
                    "samples": member.samples_per_class,
                    "rates": member.learning_rates,
                }
                for member, section in zip(
                    setup.nodes, sorted(profile.nodes, key=lambda section: section.id), strict=True
                )
            ],
        }
        scale = {
            "standardise.mean": setup.standardisation.mean,
            "standardise.scale": setup.standardisation.scale,
        }
        whole = replace(
            letter,
            values=dict(letter.values) | {"setup": given},
            arrays=dict(letter.arrays) | scale,
            checkpoints=self._checkpoints,
        )
        return node, whole

    def _accepted(self, reply: Reply, node: Node, what: str, read: Callable[[Letter, Node], T]) -> T | None:
        """What a node has sent, or None, and a warning that says why."""
        problem = reply.problem
        if reply.letter is not None:
            try:
                return read(reply.letter, node)
            except (LetterError, LookupError, TypeError, ValueError) as error:
                problem = f"sent what cannot be used: {first_line(error)}"
        self._emit(Warned(f"{what}: {node} {problem}; it is left out"))
        return None

    def _update(self, letter: Letter, node: Node) -> _Update:
        _refuse(letter, "trained")
        parameters = {name: letter.array(f"trained.{name}", (width,)) for name, width in self._widths.items()}
        losses = {name: float(letter.value("losses")[name]) for name in self._widths}
        if not torch.tensor(list(losses.values())).isfinite().all():
            raise LetterError(f"a loss that is not finite: {losses}")
        steps = {name: int(letter.value("steps")[name]) for name in self._widths}
        return _Update(node, parameters, losses, steps)

    def _counts(self, letter: Letter, node: Node) -> RetrievalAccuracy:
        _refuse(letter, "evaluated")
        classes = self._setup.classes
        confusion = letter.array("confusion", (len(classes), len(classes)))
        right, clips = int(letter.value("right")), int(letter.value("clips"))
        if not (0 <= right <= clips and (confusion >= 0).all() and int(confusion.sum()) % max(1, clips) == 0):
            raise LetterError(f"counts that do not fit each other: {right} of {clips}")
        hits = {member.id: (right, clips) if member.id == node.id else (0, 0) for member in self._setup.nodes}
        errors = {name: float(letter.value("errors")[name]) for name in self._widths}
        cosines = {name: (float(own), float(other)) for name, (own, other) in letter.value("cosines").items()}
        return RetrievalAccuracy(classes, confusion, hits, errors, {name: cosines[name] for name in self._widths})


class _FlowerAnswers(Answers):
    def __init__(
        self,
        nodes: Sequence[Node],
        failed: Sequence[int],
        updates: Mapping[int, _Update],
        order: Mapping[str, Sequence[int]],
    ) -> None:
        self.nodes, self.failed = tuple(nodes), tuple(failed)
        self._updates, self._order = updates, order

    def of(self, space: Space) -> Iterator[Trained]:
        """In the order in which one process would train them, whoever answered first: sums are the same bits."""
        for node in self._order[space.name]:
            update = self._updates[node]
            yield Trained(
                (node,),
                update.parameters[space.name][None],
                torch.tensor([update.losses[space.name]]),
                update.steps[space.name],
            )


def _row(start: Initial, node: int) -> Tensor:
    row = start([node]).detach().cpu()
    return row[0] if row.dim() == 2 else row


def _refuse(letter: Letter, expected: str) -> None:
    if letter.kind == "refused":
        raise LetterError(f"it refuses — {letter.value('reason')}")
    if letter.kind != expected:
        raise LetterError(f"a letter {letter.kind}, expected {expected}")
