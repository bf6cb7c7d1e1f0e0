"""The command `feda2v report`."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from feda2v_cli.cli.options import ConsoleOptions, Force, RunsDir, takes_options
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import size
from feda2v_cli.counted import counted

EXAMPLES = """\b
Examples:
  feda2v report
  feda2v report --last 5 --open
  feda2v report runs/20261126T092332Z-use_pretrained -o federation.html
"""


@dataclass(frozen=True)
class ReportOptions:
    """What only a report takes."""

    last: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="The newest N runs.", show_default="the newest run")
    ] = None
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="The file.")] = Path("report.html")
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.", show_default=False)] = False
    with_audio: Annotated[
        bool, typer.Option("--with-audio", help="With clips of pictures, and spectrograms.", show_default=False)
    ] = False
    runs: RunsDir = Path("runs")
    force: Force = False


@takes_options
def report(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Directories, or names of runs.", show_default=False)
    ] = None,
    *,
    report: ReportOptions,
    console: ConsoleOptions,
) -> None:
    """One HTML page of runs, to look at and to mail.

    It opens without a network. Runs that are going on or were killed give what there is. Clips, and spectrograms
    from which a clip can be told, are in it only with --with-audio.
    """
    with command_output("report", console) as output:
        from feda2v_cli.report.make import make_report

        made = make_report(
            names or (),
            output=report.output,
            runs=report.runs,
            last=report.last,
            with_audio=report.with_audio,
            force=report.force,
        )
        for run in made.runs:
            if run.record.state != "done":
                output.warn(f"{run.record.path}: {run.result.sentence}")
            if run.history.damaged:
                output.warn(
                    f"{run.record.path}: skipped {counted(run.history.damaged, 'damaged line')} of metrics.jsonl"
                )
        runs = counted(len(made.runs), "run")
        output.result(made.to_dict(), f"{made.path}: {runs}, {size(made.bytes)}")
        if report.open_it and not webbrowser.open(made.path.resolve().as_uri()):
            output.warn(f"no browser was found: open {made.path} yourself")
