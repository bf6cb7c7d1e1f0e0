"""The command `feda2v evaluate`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from feda2v_cli.cli.options import BaseName, ConsoleOptions, OtherClips, ProfileOptions, SetPath, takes_options
from feda2v_cli.cli.output import Output, command_output
from feda2v_cli.cli.tables import table
from feda2v_cli.counted import counted
from feda2v_cli.quality.meanings import CLASS_FIGURES, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from feda2v_cli.job.evaluate.run import Evaluation
    from feda2v_cli.quality.verdict import Figure

EXAMPLES = """\b
Examples:
  feda2v evaluate checkpoints/generators
  feda2v evaluate checkpoints/generators_per_class --seeds 10 --verbose
  feda2v evaluate checkpoints/generators --data-root data/ESC-50
  feda2v evaluate checkpoints/generators --json | jq -r .data.verdict
"""


@takes_options
def evaluate(
    path: SetPath = None,
    *,
    profile: ProfileOptions,
    base_name: BaseName = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Draws of samples that are measured.")] = 5,
    permissive: OtherClips = False,
    console: ConsoleOptions,
) -> None:
    """How good the samples of a set of generators are.

    They are held against clips that the set has not seen. Beside every figure stands what real clips reach in the
    samples' place (floor) and what Gaussians fitted to the same clips reach (baseline). The verdict is sound,
    collapsed, memorised or off-class; the exit code is 0 with any. Without --profile, nodes, split and encoder are
    those that the checkpoints name.
    """
    with command_output("evaluate", console) as output:
        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.evaluate.run import evaluate as run

        loaded = profile.load("use_pretrained")
        with Progress(output) as progress:
            evaluated = run(
                path,
                loaded,
                base_name=base_name,
                profile_named=profile.profile,
                draws=seeds,
                permissive=permissive,
                command=sys.argv[1:],
                listener=progress.show,
            )
        output.result(evaluated.to_dict(), *_tables(evaluated, output))


def _tables(evaluated: "Evaluation", output: Output) -> list["Table | str"]:
    figures = evaluated.overall
    overall = _overall(figures)
    if evaluated.attack is not None:
        interval = f"{_shown(evaluated.attack.low)} to {_shown(evaluated.attack.high)}"
        what = "AUC of the strongest attack; see feda2v audit"
        overall.add_row("attack", _shown(evaluated.attack.auc), interval, "0.500", "", what)
    tables: list[Table | str] = [overall]
    if output.verbose:
        tables += ["", _classes(evaluated.per_class)]
    active = [one["quality"]["active_units"] for one in evaluated.generators if "active_units" in one["quality"]]
    if active:
        tables += ["", f"active latent units: {min(active)} to {max(active)} a generator"]
    made = counted(len(evaluated.generators), f"{evaluated.granularity} {evaluated.generator_type} generator")
    return [
        *tables,
        "",
        f"{evaluated.verdict.word}: {'; '.join(evaluated.verdict.reasons)}",
        f"{made} of {evaluated.directory}, {evaluated.draws} draws, {evaluated.trained} clips trained, "
        f"{evaluated.held_out} held out, in {evaluated.seconds:.1f} s; run {evaluated.run_dir}",
    ]


def _overall(figures: "Mapping[str, Figure | None]") -> "Table":
    overall = table("figure")
    for heading in ("value", "95 %", "floor", "baseline"):
        overall.add_column(heading, justify="right", no_wrap=True)
    overall.add_column("what it is")
    for name, figure in figures.items():
        if figure is None:
            overall.add_row(name, "-", "", "", "", MEANINGS[name])
            continue
        interval = "" if name == "trtr" else f"{_shown(figure.low)} to {_shown(figure.high)}"
        overall.add_row(
            name, _shown(figure.value), interval, _shown(figure.floor), _shown(figure.baseline), MEANINGS[name]
        )
    return overall


def _classes(per_class: "Mapping[str, Mapping[str, Figure | None]]") -> "Table":
    classes = table("class", right=CLASS_FIGURES)
    for name, figures in per_class.items():
        values = (figures[metric] for metric in CLASS_FIGURES)
        classes.add_row(name, *("-" if figure is None else _shown(figure.value) for figure in values))
    return classes


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"
