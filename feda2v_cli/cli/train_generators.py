"""The face of `feda2v train-generators`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feda2v_cli.cli.options import (
    AsJson,
    BaseName,
    DataRoot,
    Device,
    DryRun,
    Force,
    GranularityName,
    Memory,
    NodeIds,
    ProfileName,
    Quiet,
    Resume,
    Rounds,
    Seed,
    Settings,
    Verbose,
    flags,
    node_ids,
)
from feda2v_cli.cli.output import Output, output_of

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


def train_generators(
    profile: ProfileName = None,
    granularity: GranularityName = None,
    data_root: DataRoot = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where checkpoints go.", show_default="chosen by the granularity"),
    ] = None,
    base_name: BaseName = None,
    nodes: NodeIds = None,
    rounds: Rounds = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Epochs a round.", show_default="from the profile")
    ] = None,
    seed: Seed = None,
    device: Device = None,
    memory: Memory = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave unreadable clips out, and list them.", show_default=False)
    ] = False,
    resume: Resume = False,
    force: Force = False,
    dry_run: DryRun = False,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """RUN 1: train generators of audio embeddings on every node, and save checkpoints.

    Without --profile the shipped profile of the granularity is taken, and without --granularity it is unified.
    """
    with output_of("train-generators", as_json=as_json, quiet=quiet, verbose=verbose) as output:
        from feda2v_cli.errors import UsageError, closest
        from feda2v_cli.profile.generator_names import BASE_NAMES
        from feda2v_cli.profile.load import load_profile

        if granularity is not None and granularity not in BASE_NAMES:
            near = closest(granularity, BASE_NAMES)
            raise UsageError(
                f"--granularity {granularity} — expected one of {', '.join(BASE_NAMES)}",
                hint=f"feda2v train-generators -g {near}" if near else "feda2v train-generators --help",
            )
        loaded = load_profile(
            profile or granularity or "unified",
            flags=flags(
                granularity=("generator.granularity", granularity),
                data_root=("data.root", data_root),
                checkpoint_dir=("checkpoint.dir", checkpoint_dir),
                base_name=("checkpoint.base_name", base_name),
                rounds=("generator.rounds", rounds),
                epochs=("generator.epochs", epochs),
                seed=("experiment.seed", seed),
                device=("experiment.device", device),
                memory=("experiment.memory", memory),
                skip_unreadable=("data.skip_unreadable", skip_unreadable or None),
            ),
            settings=settings or [],
        )
        chosen = node_ids(nodes)
        if dry_run:
            from feda2v_cli.job.train_generators.plan import plan_generators

            plan = plan_generators(loaded, chosen)
            output.result(_plan_data(plan), *_plan_tables(plan))
            return

        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.train_generators.run import train_generators as train

        with Progress(output) as progress:
            trained = train(
                loaded, node_ids=chosen, resume=resume, force=force, command=sys.argv[1:], listener=progress.show
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
    from rich.table import Table

    from feda2v_cli.cli.units import size

    table = Table("node", "key", "classes", box=None, pad_edge=False)
    for heading in ("clips", "parameters", "size"):
        table.add_column(heading, justify="right")
    for planned in plan.generators:
        spec = planned.spec
        table.add_row(
            str(spec.node),
            spec.key or "",
            ", ".join(spec.classes),
            str(len(planned.clips)),
            f"{planned.parameters:,}",
            size(planned.bytes),
        )
    there = len(plan.would_overwrite)
    return [
        table,
        f"memory  {size(plan.memory_bytes)}",
        f"disk    {size(plan.disk_bytes)} in {len(plan.files)} files under {plan.directory}",
        *(str(path) for path in plan.files),
        f"{there} of these files are there already: --resume, --force or another --checkpoint-dir"
        if there
        else "none of these files is there yet",
    ]


def _trained_tables(trained: "TrainedGenerators", output: Output) -> list["Table | str"]:
    from rich.table import Table

    from feda2v_cli.cli.units import size

    table = Table("checkpoint", box=None, pad_edge=False)
    for heading in ("round", "parameters", "size", "loss"):
        table.add_column(heading, justify="right")
    shown = [saved for saved in trained.checkpoints if saved.final or output.verbose]
    for saved in shown:
        table.add_row(
            saved.path.name, str(saved.round), f"{saved.parameters:,}", size(saved.bytes), f"{saved.loss:.1f}"
        )
    directory = trained.checkpoints[0].path.parent
    rounds = len(trained.checkpoints) - sum(saved.final for saved in trained.checkpoints)
    more = f", and {rounds} of earlier rounds" if rounds and not output.verbose else ""
    return [
        table,
        f"{len(shown)} checkpoints in {directory}{more}, in {trained.seconds:.1f} s; run {trained.run_dir}",
    ]
