"""Progress of a run on stderr: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from rich.console import RenderableType
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from feda2v_cli.cli.output import Output, is_plain
from feda2v_cli.cli.tables import rounds_table, size
from feda2v_cli.report.quantities import duration_text
from feda2v_cli.run.event import (
    CheckpointSaved,
    ClipsEmbedded,
    EpochEnded,
    Evaluated,
    Event,
    FederationRoundEnded,
    LettersExchanged,
    Noted,
    PictureMade,
    RoundEnded,
    RoundSkipped,
    RunResumed,
    RunStarted,
    StackNarrowed,
    Warned,
)

#: Without animation, embedding is reported at most so often.
SECONDS_BETWEEN_LINES = 10.0
#: In less no pace can be told.
SECONDS_OF_PACE = 2.0
#: More nodes than this make no readable line.
MOST_NODES_SHOWN = 15


class _BarsUnderTable(RichProgress):
    """Bars, and above them a table that grows."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        self.evaluations: list[dict[str, Any]] = []
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterator[RenderableType]:
        """What stands on the screen."""
        if self.evaluations:
            yield rounds_table(self.evaluations)
        yield from super().get_renderables()


class Progress:
    """Shows the events of a run.

    Args:
        output: of the command that runs.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._plain = is_plain(sys.stderr)
        self._bars = _BarsUnderTable(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=output.err,
            transient=True,
            disable=self._plain or output.quiet,
        )
        self._task = self._bars.add_task("", total=None, rate="", visible=False)
        self._started = time.monotonic()
        self._said = time.monotonic()
        self._before = 0
        self._phase: type[Event] | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Noted(text):
                self._say(text)
            case Warned(text):
                self._output.warn(text)
            case RunStarted(run_dir):
                self._output.detail(f"run {run_dir}")
            case RunResumed(run_dir, rounds_done):
                self._say(f"going on with {run_dir}, {rounds_done} rounds done")
            case StackNarrowed(models, width):
                self._output.warn(f"memory ran out for {models} models at once: going on with {width}")
            case ClipsEmbedded(done, total):
                self._move(event, "embedding", done, total, "clips/s")
                self._say_sometimes(f"embedding {done} of {total} clips{self._pace(done, total)}", last=done == total)
            case EpochEnded(round_number, epoch, seen, total):
                self._move(event, f"round {round_number} epoch {epoch}", seen, total, "clips/s")
            case RoundEnded(round_number, rounds, stack, stacks, seconds, losses):
                loss = sum(values["loss"] for values in losses.values()) / len(losses)
                of = f"stack {stack} of {stacks} " if stacks > 1 else ""
                text = f"{of}round {round_number} of {rounds}: loss {loss:.2f} in {seconds:.1f} s"
                if self._plain:
                    self._say(text)
                else:
                    self._output.detail(text)
            case FederationRoundEnded():
                self._show_round(event)
            case LettersExchanged(what, _, nodes, sent, received, seconds, computing):
                self._output.detail(
                    f"{what}: {size(sent)} to {nodes} nodes, {size(received)} back, in {seconds:.1f} s "
                    f"({computing:.1f} s of computing)"
                )
            case RoundSkipped(federation, round_number, present, quorum):
                self._output.warn(
                    f"{_of(federation)}round {round_number} is skipped: {len(present)} nodes answered, quorum {quorum}"
                )
            case Evaluated():
                self._show_evaluation(event)
            case PictureMade(path, made, done, total, seconds):
                self._move(event, "pictures", done, total, "pictures/min", 60)
                rate = f", {60 / seconds:.1f} a minute" if made and seconds > 0 else ""
                self._say_sometimes(f"picture {done} of {total}{rate}", last=done == total)
                self._output.detail(f"{'made' if made else 'kept'} {path}")
            case CheckpointSaved(path, _):
                self._output.detail(f"saved {path}")

    def _show_round(self, ended: FederationRoundEnded) -> None:
        self._move(ended, f"{_of(ended.federation)}round {ended.round}", ended.round, ended.rounds, "rounds/s")
        loss = ", ".join(f"{space} {value:.3f}" for space, value in ended.loss.items())
        # In one shot, and in a round that is skipped, no node trains.
        told = [f"loss {loss}"] if loss else []
        told += [f"{len(ended.failed)} nodes failed"] if ended.failed else []
        which = f"{_of(ended.federation)}round {ended.round} of {ended.rounds}"
        self._output.detail(f"{': '.join([which, ', '.join(told)] if told else [which])} in {ended.seconds:.1f} s")

    def _show_evaluation(self, evaluated: Evaluated) -> None:
        if not self._plain:
            before = [row for row in self._bars.evaluations if row["federation"] == evaluated.federation]
            self._bars.evaluations = [*before, evaluated.fields()]
            return
        nodes = " ".join("-" if value is None else f"{value:.2f}" for value in evaluated.node_accuracy.values())
        loss = ", ".join(f"{space} {value:.3f}" for space, value in evaluated.loss.items())
        by_node = f" (by node {nodes})" if len(evaluated.node_accuracy) <= MOST_NODES_SHOWN else ""
        which = f"round {evaluated.round} of {evaluated.rounds}: " if evaluated.rounds else ""
        self._say(f"{_of(evaluated.federation)}{which}accuracy {evaluated.accuracy:.3f}{by_node}, loss {loss}")

    def _move(self, event: Event, text: str, done: int, total: int, unit: str, seconds: int = 1) -> None:
        if self._phase is not type(event):
            self._phase = type(event)
            self._started, self._before = time.monotonic(), done
            self._bars.reset(self._task, total=total, rate="", visible=True)
        if self._plain:
            return
        passed = time.monotonic() - self._started
        speed = seconds * (done - self._before) / passed if passed > 1 else 0.0
        rate = f"{speed:,.{0 if speed >= 10 else 1}f} {unit}" if speed else ""
        self._bars.update(self._task, description=text, completed=done, total=total, rate=rate)

    def _pace(self, done: int, total: int) -> str:
        """How many clips a second there were since the first that were told, and the time left if it goes on so."""
        passed, made = time.monotonic() - self._started, done - self._before
        if passed < SECONDS_OF_PACE or not made:
            return ""
        left = f", {duration_text((total - done) * passed / made)} left" if done < total else ""
        return f", {made / passed:,.1f} clips/s{left}"

    def _say(self, text: str) -> None:
        self._output.note(text)

    def _say_sometimes(self, text: str, *, last: bool) -> None:
        if self._plain and (last or time.monotonic() - self._said > SECONDS_BETWEEN_LINES):
            self._said = time.monotonic()
            self._say(text)


def _of(federation: str) -> str:
    """Which of a run's federations something is about; nothing for the one that was asked for."""
    return "" if federation == "chosen" else f"{federation}: "
