"""The command `feda2v federate`."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feda2v_cli.cli.options import (
    FROM_PROFILE,
    ROUNDS,
    ConsoleOptions,
    ProfileOptions,
    RunOptions,
    Sets,
    takes_options,
    words_in,
)
from feda2v_cli.cli.output import Output, command_output
from feda2v_cli.cli.tables import planned_files, rounds_table, share, size, table
from feda2v_cli.counted import counted

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
  feda2v federate --adapters checkpoints/adapters --rounds 0
  feda2v federate --engine flower
  feda2v federate -p federation.toml --engine flower --server HOST:9000 --keys DIR
"""


def _count(text: str) -> str | int:
    return int(text) if text.isdecimal() else text


@dataclass(frozen=True)
class FederationOptions:
    """What only RUN 2 takes."""

    generators: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Generators of RUN 1.", show_default="the one set under checkpoints/"),
        Sets("checkpoint.dir", str),
    ] = None
    synthetic_per_class: Annotated[
        str | None,
        typer.Option(metavar="N|auto|0", help="Samples of a class a node.", show_default=FROM_PROFILE),
        Sets("synthetic.per_class", _count),
    ] = None
    synthetic_use: Annotated[
        str | None,
        typer.Option(metavar="local,server", help="What samples are for: local, server, kd.", show_default="local"),
        Sets("synthetic.use", words_in),
    ] = None
    strategy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How updates become one adapter.", show_default=FROM_PROFILE),
        Sets("federation.strategy"),
    ] = None
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Compare with none, fedavg, central, one_shot.", show_default=False)
    ] = False
    adapters: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --rounds 0: adapters to evaluate.", show_default=False),
        Sets("checkpoint.load_adapters", str),
    ] = None
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where adapters go.", show_default="checkpoints/adapters"),
        Sets("checkpoint.adapter_dir", str),
    ] = None
    rounds: Annotated[int | None, ROUNDS, Sets("federation.rounds")] = None
    local_epochs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Epochs of a node in a round.", show_default=FROM_PROFILE),
        Sets("federation.local_epochs"),
    ] = None
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="local or flower.", show_default="local"),
        Sets("federation.engine"),
    ] = None
    server: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="flower: the server.", show_default="one on this machine"),
        Sets("flower.server"),
    ] = None
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="flower: keys.", show_default=False), Sets("flower.keys", str)
    ] = None


@takes_options
def federate(
    *, profile: ProfileOptions, federation: FederationOptions, run: RunOptions, console: ConsoleOptions
) -> None:
    """RUN 2: train adapters over all nodes, with samples.

    Samples of the generators stand in for clips that may not move. Without --profile it is use_pretrained.
    Granularity, groups and base name are read from the checkpoints.
    """
    with command_output("federate", console) as output:
        loaded = profile.load("use_pretrained", federation, run)
        if run.dry_run:
            from feda2v_cli.data.nodes import notes_on
            from feda2v_cli.job.federate.plan import plan_federation

            plan = plan_federation(loaded, run.node_ids, command=sys.argv[1:])
            for note in notes_on(plan.nodes):
                output.warn(note)
            output.result(_plan_data(plan), *_plan_tables(plan))
            return

        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.federate.run import federate as federate_nodes

        with Progress(output) as progress:
            done = federate_nodes(
                loaded,
                node_ids=run.node_ids,
                resume=run.resume,
                force=run.force,
                baselines=federation.baselines,
                command=sys.argv[1:],
                listener=progress.show,
            )
        output.result(done.to_dict(), *_result_tables(done, output))


def _plan_data(plan: "FederationPlan") -> dict[str, Any]:
    generators = plan.generators
    return {
        "nodes": [
            {
                "node": node.node_id,
                "classes": sorted({clip.class_name for clip in node.train}),
                "clips": len(node.train),
                "held_out": len(node.held_out),
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
    nodes = table("node", "classes", right=("clips", "held out", "samples a class"))
    for node in _plan_data(plan)["nodes"]:
        classes = ", ".join(node["classes"])
        nodes.add_row(
            str(node["node"]), classes, str(node["clips"]), str(node["held_out"]), str(node["samples_per_class"])
        )
    federation = plan.profile.federation
    return [
        nodes,
        f"samples  {plan.generators}" if plan.generators else "samples  none",
        f"rounds   {federation.rounds} with {federation.local_epochs} local epochs, {plan.strategy.name}"
        if plan.trained is None
        else f"rounds   none: it evaluates {plan.trained}",
        f"adapter  {plan.parameters:,} parameters",
        f"memory   {size(plan.memory_bytes)}",
        f"disk     {size(plan.disk_bytes)} in {len(plan.files)} files",
        *(planned_files(plan.files, plan.would_overwrite) if plan.files else ["no adapter is saved"]),
    ]


def _result_tables(done: "Federated", output: Output) -> list["Table | str"]:
    tables: list[Table | str] = [rounds_table(done.rounds)]
    if done.baselines:
        tables += ["", _comparison(done)]
    if output.verbose:
        tables += ["", _classes_table(done)]
    samples = sum(done.synthetic["node_samples"].values()) or done.synthetic["server_samples"]
    source = (
        f"{counted(samples, 'sample')} of {counted(done.synthetic['generators'], 'generator')}"
        if samples
        else "no samples"
    )
    saved = (
        f"{counted(len(done.adapters), 'adapter')} in {done.adapters[0].parent}"
        if done.adapters
        else "no adapter saved"
    )
    how = f" with {done.strategy} and {source}" if done.rounds[-1]["round"] else ""
    return [
        *tables,
        f"accuracy {done.final['accuracy']:.3f}{how}; {saved}, in {done.seconds:.1f} s; run {done.run_dir}",
    ]


def _comparison(done: "Federated") -> "Table":
    spaces = list(done.final["loss"])
    runs = table("side by side", right=("accuracy", "worst node", *(f"loss {space}" for space in spaces)))
    names = {
        "none": "none: every node alone",
        "fedavg": "fedavg, no samples, as many steps",
        "central": "central",
        "one_shot": "one_shot: samples alone",
    }
    rows: Mapping[str, dict[str, Any]] = {names[name]: final for name, final in done.baselines.items()}
    for name, final in {f"{done.strategy}: this run": done.final, **rows}.items():
        worst = min((value for value in final["node_accuracy"].values() if value is not None), default=None)
        losses = (f"{final['loss'][space]:.3f}" for space in spaces)
        runs.add_row(name, share(final["accuracy"]), share(worst), *losses)
    return runs


def _classes_table(done: "Federated") -> "Table":
    classes = table("class", right=("accuracy",))
    classes.add_column("most often taken for")
    for index, (name, accuracy) in enumerate(done.final["per_class_accuracy"].items()):
        others = {
            other: count for other, count in zip(done.classes, done.confusion[index], strict=True) if other != name
        }
        worst = max(others, key=lambda other: others[other], default="")
        classes.add_row(name, share(accuracy), worst if worst and others[worst] else "")
    return classes
