"""The face of `feda2v federate`."""

import sys
from collections.abc import Mapping
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

    from feda2v_cli.job.federate.plan import FederationPlan
    from feda2v_cli.job.federate.run import Federated

EXAMPLES = """\b
Examples:
  feda2v federate
  feda2v federate --baselines
  feda2v federate --strategy kd --synthetic-per-class auto
  feda2v federate --generators checkpoints/generators_per_class --dry-run
  feda2v federate -p my.toml --set federation.fraction=0.5 --resume
"""

_FROM_PROFILE = "from the profile"


def federate(
    profile: ProfileName = None,
    generators: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Generators of RUN 1.", show_default="the one set under checkpoints/"),
    ] = None,
    granularity: GranularityName = None,
    base_name: BaseName = None,
    synthetic_per_class: Annotated[
        str | None, typer.Option(metavar="N|auto|0", help="Samples of a class a node.", show_default=_FROM_PROFILE)
    ] = None,
    synthetic_use: Annotated[
        str | None,
        typer.Option(metavar="local,server", help="What samples are for: local, server, kd.", show_default="local"),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="How updates become one adapter.", show_default=_FROM_PROFILE)
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Compare with none, fedavg and central.", show_default=False),
    ] = False,
    data_root: DataRoot = None,
    checkpoint_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where adapters go.", show_default="checkpoints/adapters")
    ] = None,
    nodes: NodeIds = None,
    rounds: Rounds = None,
    local_epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Epochs of a node in a round.", show_default=_FROM_PROFILE)
    ] = None,
    engine: Annotated[str | None, typer.Option(metavar="NAME", help="local.", show_default="local")] = None,
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
    """RUN 2: train adapters over all nodes, with samples of the generators in place of clips.

    Without --profile it is use_pretrained. Granularity, groups and base name are read from the checkpoints.
    """
    with output_of("federate", as_json=as_json, quiet=quiet, verbose=verbose) as output:
        from feda2v_cli.profile.load import load_profile

        loaded = load_profile(
            profile or "use_pretrained",
            flags=flags(
                generators=("checkpoint.dir", generators),
                granularity=("generator.granularity", granularity),
                base_name=("checkpoint.base_name", base_name),
                synthetic_per_class=("synthetic.per_class", _count(synthetic_per_class)),
                synthetic_use=("synthetic.use", _words(synthetic_use)),
                strategy=("federation.strategy", strategy),
                data_root=("data.root", data_root),
                checkpoint_dir=("checkpoint.adapter_dir", checkpoint_dir),
                rounds=("federation.rounds", rounds),
                local_epochs=("federation.local_epochs", local_epochs),
                engine=("federation.engine", engine),
                seed=("experiment.seed", seed),
                device=("experiment.device", device),
                memory=("experiment.memory", memory),
                skip_unreadable=("data.skip_unreadable", skip_unreadable or None),
            ),
            settings=settings or [],
        )
        chosen = node_ids(nodes)
        if dry_run:
            from feda2v_cli.job.federate.plan import plan_federation

            plan = plan_federation(loaded, chosen, command=sys.argv[1:])
            output.result(_plan_data(plan), *_plan_tables(plan))
            return

        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.federate.run import federate as run

        with Progress(output) as progress:
            done = run(
                loaded,
                node_ids=chosen,
                resume=resume,
                force=force,
                baselines=baselines,
                command=sys.argv[1:],
                listener=progress.show,
            )
        output.result(done.to_dict(), *_result_tables(done, output))


def _count(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.isdecimal() else text


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",")]


def _plan_data(plan: "FederationPlan") -> dict[str, Any]:
    generators = plan.generators
    return {
        "nodes": [
            {
                "node": node.node_id,
                "classes": sorted({clip.class_name for clip in node.train}),
                "clips": len(node.train),
                "held_out": len(node.test),
                "samples_per_class": plan.samples_per_class(node),
            }
            for node in plan.nodes
        ],
        "generators": None
        if generators is None
        else {
            "directory": str(generators.directory),
            "base_name": generators.base_name,
            "granularity": generators.granularity,
            "count": len(generators.loaded),
        },
        "strategy": plan.strategy.name,
        "rounds": plan.profile.federation.rounds,
        "parameters": plan.parameters,
        "memory_bytes": plan.memory_bytes,
        "disk_bytes": plan.disk_bytes,
        "files": [str(path) for path in plan.files],
        "would_overwrite": [str(path) for path in plan.would_overwrite],
    }


def _plan_tables(plan: "FederationPlan") -> list["Table | str"]:
    from rich.table import Table

    from feda2v_cli.cli.units import size

    table = Table("node", "classes", box=None, pad_edge=False)
    for heading in ("clips", "held out", "samples a class"):
        table.add_column(heading, justify="right")
    data = _plan_data(plan)
    for node in data["nodes"]:
        table.add_row(
            str(node["node"]),
            ", ".join(node["classes"]),
            str(node["clips"]),
            str(node["held_out"]),
            str(node["samples_per_class"]),
        )
    federation = plan.profile.federation
    there = len(plan.would_overwrite)
    return [
        table,
        f"samples  {plan.generators}" if plan.generators else "samples  none",
        f"rounds   {federation.rounds} with {federation.local_epochs} local epochs, {plan.strategy.name}",
        f"adapter  {plan.parameters:,} parameters",
        f"memory   {size(plan.memory_bytes)}",
        f"disk     {size(plan.disk_bytes)} in {len(plan.files)} files",
        *(str(path) for path in plan.files),
        f"{there} of these files are there already: --resume, --force or another --checkpoint-dir"
        if there
        else "none of these files is there yet",
    ]


def _result_tables(done: "Federated", output: Output) -> list["Table | str"]:
    from feda2v_cli.cli.rounds_table import rounds_table

    tables: list[Table | str] = [rounds_table(done.rounds)]
    if done.baselines:
        tables += ["", _comparison(done)]
    if output.verbose:
        tables += ["", _classes_table(done)]
    samples = sum(done.synthetic["node_samples"].values())
    source = f"{samples} samples of {done.synthetic['generators']} generators" if samples else "no samples"
    directory = done.adapters[0].parent if done.adapters else ""
    return [
        *tables,
        f"accuracy {done.final['accuracy']:.3f} with {done.strategy} and {source}; "
        f"{len(done.adapters)} adapters in {directory}, in {done.seconds:.1f} s; run {done.run_dir}",
    ]


def _comparison(done: "Federated") -> "Table":
    from rich.table import Table

    from feda2v_cli.cli.rounds_table import share

    spaces = list(done.final["loss"])
    table = Table("side by side", box=None, pad_edge=False)
    for heading in ("accuracy", "worst node", *(f"loss {space}" for space in spaces)):
        table.add_column(heading, justify="right")
    names = {"none": "none: every node alone", "fedavg": "fedavg, no samples, as many steps", "central": "central"}
    rows: Mapping[str, dict[str, Any]] = {names[name]: final for name, final in done.baselines.items()}
    for name, final in {f"{done.strategy}: this run": done.final, **rows}.items():
        worst = min((value for value in final["node_accuracy"].values() if value is not None), default=None)
        losses = (f"{final['loss'][space]:.3f}" for space in spaces)
        table.add_row(name, share(final["accuracy"]), share(worst), *losses)
    return table


def _classes_table(done: "Federated") -> "Table":
    from rich.table import Table

    from feda2v_cli.cli.rounds_table import share

    table = Table("class", box=None, pad_edge=False)
    table.add_column("accuracy", justify="right")
    table.add_column("most often taken for")
    for index, (name, accuracy) in enumerate(done.final["per_class_accuracy"].items()):
        others = {
            other: count for other, count in zip(done.classes, done.confusion[index], strict=True) if other != name
        }
        worst = max(others, key=lambda other: others[other], default="")
        table.add_row(name, share(accuracy), worst if worst and others[worst] else "")
    return table
