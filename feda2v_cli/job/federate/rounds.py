"""Runs the rounds of a federation to their end, and goes on where a run was killed."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feda2v_cli.federation.engine import Engine
from feda2v_cli.federation.retrieval import RetrievalAccuracy
from feda2v_cli.federation.round import Federation
from feda2v_cli.federation.setup import Setup
from feda2v_cli.job.files import save_resume_state, take_up_resume_state, writing_resume_state
from feda2v_cli.job.images.rounds import RoundPictures
from feda2v_cli.profile.schema import FederationSection
from feda2v_cli.run.event import Evaluated, FederationRoundEnded, Listener, RoundSkipped, StackNarrowed

_WITHOUT_STATE = "the run cannot go on; it can be resumed from the round before"


@dataclass
class History:
    """How far a federation has come.

    Attributes:
        rounds_done: rounds that have ended.
        evaluations: one a round that was evaluated: round, accuracy, node_accuracy, per_class_accuracy, loss.
        confusion: of the last evaluation, clips by class and by the class that was retrieved.
        skipped: rounds in which too few nodes answered.
    """

    rounds_done: int = 0
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)


class ResumableFederation:
    """A federation that can be killed at any moment, and goes on.

    Args:
        name: of the federation among those of the run.
        setup: the federation.
        resume: directory of the state.
        emit: is told what happens.
        keep_nodes: whether every node's own adapters are wanted at the end.
        engine: reaches the nodes; None when they are in this process.
        pictures: that are made of the rounds; None for none.

    Raises:
        FailedError: a state is there and damaged.
    """

    def __init__(
        self,
        name: str,
        setup: Setup,
        resume: Path,
        emit: Listener,
        *,
        keep_nodes: bool,
        engine: Engine | None = None,
        pictures: RoundPictures | None = None,
    ) -> None:
        self._name = name
        self._path = resume / f"{name}.pt"
        self._emit = emit
        self._keep_nodes = keep_nodes
        self._pictures = pictures
        directory = resume / name
        directory.mkdir(exist_ok=True)
        self.federation = Federation(setup, directory, lambda models, width: emit(StackNarrowed(models, width)), engine)
        self.history = History()
        if self._path.exists():
            take_up_resume_state(self._path, self._take_up)

    @property
    def _section(self) -> FederationSection:
        return self.federation.setup.profile.federation

    @property
    def rounds(self) -> int:
        """Of the whole run."""
        return self._section.rounds

    def run(self) -> History:
        """Run the rounds that are left; with none at all, evaluate the adapters that the setup brings.

        Raises:
            FailedError: a loss is not finite, memory does not suffice, or the state cannot be written.
        """
        if self.rounds == 0:
            evaluation = self._evaluate(0)
            if self._pictures is not None:
                self._pictures.draw(self.federation, 0)
            self._emit_evaluation(0, evaluation)
        for number in range(self.history.rounds_done + 1, self.rounds + 1):
            self._run_round(number)
        return self.history

    def _run_round(self, number: int) -> None:
        started = time.monotonic()
        last = number == self.rounds
        tells = last or self.federation.exchanges_every_round
        pictures = self._pictures if tells and self._pictures is not None and self._pictures.due(number) else None
        for_pictures = pictures is not None and pictures.needs_nodes(number)
        done = self.federation.run_round(number, keep_nodes=(self._keep_nodes and last) or for_pictures)
        evaluation = None
        if last or (number % self._section.evaluate_every == 0 and tells):
            evaluation = self._evaluate(number)
        if done.skipped:
            self.history.skipped.append(number)
        if pictures is not None:  # before the state is kept: a run that is killed here makes those that are missing
            pictures.draw(self.federation, number)
        self.history.rounds_done = number
        self._save(number)
        seconds = time.monotonic() - started
        if done.skipped:
            self._emit(RoundSkipped(self._name, number, list(done.present), self._section.quorum))
        else:
            self._emit(
                FederationRoundEnded(
                    self._name, number, self.rounds, list(done.present), list(done.failed), done.steps, seconds,
                    dict(done.loss), {str(node): dict(loss) for node, loss in done.node_loss.items()},
                )
            )  # fmt: skip
        if evaluation is not None:
            self._emit_evaluation(number, evaluation)

    def _evaluate(self, number: int) -> RetrievalAccuracy:
        evaluation = self.federation.evaluate(number)
        self.history.evaluations.append({"round": number} | evaluation.to_dict())
        self.history.confusion = evaluation.confusion.tolist()
        return evaluation

    def _emit_evaluation(self, number: int, evaluation: RetrievalAccuracy) -> None:
        values = evaluation.to_dict()
        self._emit(
            Evaluated(self._name, number, self.rounds, values["accuracy"], values["node_accuracy"], values["loss"])
        )

    def _save(self, number: int) -> None:
        if self._keep_nodes and number == self.rounds:
            with writing_resume_state(self._path, _WITHOUT_STATE):
                self.federation.store.sync(number)
        content = {"progress": vars(self.history), "federation": self.federation.state(number)}
        save_resume_state(self._path, content, _WITHOUT_STATE)

    def _take_up(self, content: dict[str, Any]) -> None:
        self.history = History(**content["progress"])
        self.federation.restore(content["federation"])
