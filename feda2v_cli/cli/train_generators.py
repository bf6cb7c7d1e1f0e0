"""The command `feda2v train-generators`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feda2v_cli.cli.options import (
    FROM_GRANULARITY,
    FROM_PROFILE,
    ROUNDS,
    ConsoleOptions,
    ProfileOptions,
    RunOptions,
    Sets,
    granularity_in,
    takes_options,
    words_in,
)
from feda2v_cli.cli.output import Output, command_output
from feda2v_cli.cli.tables import planned_files, size, table
from feda2v_cli.counted import counted

if TYPE_CHECKING:
    from rich.table import Table

    from feda2v_cli.job.train_generators.plan import GeneratorPlan
    from feda2v_cli.job.train_generators.run import TrainedGenerators

EXAMPLES = """\b
Examples:
  feda2v train-generators --granularity per_group
  feda2v train-generators -g per_class --data-root data/ESC-50
  feda2v train-generators -g unified --nodes 0,2 --dry-run
  feda2v train-generators -p my.toml --set generator.epochs=50 --resume
"""


@dataclass(frozen=True)
class TrainingOptions:
    """What only RUN 1 takes."""

    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where checkpoints go.", show_default=FROM_GRANULARITY),
        Sets("checkpoint.dir", str),
    ] = None
    rounds: Annotated[int | None, ROUNDS, Sets("generator.rounds")] = None
    epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs a round.", show_default=FROM_PROFILE),
        Sets("generator.epochs"),
    ] = None
    keys: Annotated[
        str | None,
        typer.Option(metavar="dog,cow", help="Only of these classes or groups.", show_default="all of the nodes"),
    ] = None

    @property
    def chosen_keys(self) -> tuple[str, ...] | None:
        """The keys that are meant; None is all."""
        return None if self.keys is None else tuple(dict.fromkeys(filter(None, words_in(self.keys))))


@takes_options
def train_generators(
    *, profile: ProfileOptions, training: TrainingOptions, run: RunOptions, console: ConsoleOptions
) -> None:
    """RUN 1: train generators on every node.

    Without --profile the shipped profile of the granularity is taken, and without --granularity it is unified. The
    generators make audio embeddings, and are saved as checkpoints.
    """
    with command_output("train-generators", console) as output:
        granularity = granularity_in(run.granularity)
        loaded = profile.load(granularity or "unified", training, run)
        if run.dry_run:
            from feda2v_cli.data.nodes import notes_on
            from feda2v_cli.job.train_generators.plan import plan_generators

            plan = plan_generators(loaded, run.node_ids, training.chosen_keys)
            for note in notes_on(plan.nodes):
                output.warn(note)
            output.result(_plan_data(plan), *_plan_tables(plan))
            return

        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.train_generators.run import train_generators as train

        with Progress(output) as progress:
            trained = train(
                loaded,
                node_ids=run.node_ids,
                keys=training.chosen_keys,
                resume=run.resume,
                force=run.force,
                command=sys.argv[1:],
                listener=progress.show,
            )
        output.result(trained.to_dict(), *_trained_tables(trained, output))


def _plan_data(plan: "GeneratorPlan") -> dict[str, Any]:
    return {
        "generators": [
            {
                "node": planned.spec.node,
                "key": planned.spec.key,
                "classes": list(planned.spec.classes),
                "clips": len(planned.clips),
                "parameters": planned.parameters,
                "bytes": planned.bytes,
            }
            for planned in plan.generators
        ],
        "memory_bytes": plan.memory_bytes,
        "disk_bytes": plan.disk_bytes,
        "files": [str(path) for path in plan.files],
        "would_overwrite": [str(path) for path in plan.would_overwrite],
    }


def _plan_tables(plan: "GeneratorPlan") -> list["Table | str"]:
    generators = table("node", "key", "classes", right=("clips", "parameters", "size"))
    for planned in plan.generators:
        spec = planned.spec
        generators.add_row(
            str(spec.node),
            spec.key or "",
            ", ".join(spec.classes),
            str(len(planned.clips)),
            f"{planned.parameters:,}",
            size(planned.bytes),
        )
    return [
        generators,
        f"memory  {size(plan.memory_bytes)}",
        f"disk    {size(plan.disk_bytes)} in {len(plan.files)} files under {plan.directory}",
        *planned_files(plan.files, plan.would_overwrite),
    ]


def _trained_tables(trained: "TrainedGenerators", output: Output) -> list["Table | str"]:
    checkpoints = table("checkpoint", right=("round", "parameters", "size", "loss"))
    shown = [saved for saved in trained.checkpoints if saved.final or output.verbose]
    for saved in shown:
        checkpoints.add_row(
            saved.path.name, str(saved.round), f"{saved.parameters:,}", size(saved.bytes), f"{saved.loss:.1f}"
        )
    directory = trained.checkpoints[0].path.parent
    rounds = len(trained.checkpoints) - sum(saved.final for saved in trained.checkpoints)
    more = f", and {rounds} of earlier rounds" if rounds and not output.verbose else ""
    return [
        checkpoints,
        f"{counted(len(shown), 'checkpoint')} in {directory}{more}, in {trained.seconds:.1f} s; run {trained.run_dir}",
    ]
