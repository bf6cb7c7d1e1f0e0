"""The command `feda2v compare`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feda2v_cli.cli.options import ConsoleOptions, Device, Force, ProfileOptions, Seed, flags_of, takes_options
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from feda2v_cli.job.compare.run import Comparison

EXAMPLES = """\b
Examples:
  feda2v compare
  feda2v compare --data-root data/ESC-50 --output comparison-esc50
  feda2v compare -p my.toml --rounds 50 --no-picture
  feda2v compare --json | jq '.data.table[] | {granularity, tstr_share, accuracy}'
"""


@dataclass(frozen=True)
class ComparisonOptions:
    """What only a comparison takes."""

    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the report and all that was trained go.")
    ] = Path("comparison")
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds of each federation.")] = 15
    picture: Annotated[bool, typer.Option("--picture/--no-picture", help="Draw the picture.")] = True
    seed: Seed = None
    device: Device = None
    force: Force = False


@takes_options
def compare(*, profile: ProfileOptions, comparison: ComparisonOptions, console: ConsoleOptions) -> None:
    """The three granularities side by side, measured.

    They are trained on the same clips, evaluated, and federated, side by side on the cores that there are. Writes
    comparison.md, comparison.json and comparison.png. The picture needs matplotlib: pip install 'feda2v[plot]'.
    """
    with command_output("compare", console) as output:
        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.compare.run import compare as run

        with Progress(output) as progress:
            compared = run(
                profile.profile or "unified",
                output=comparison.output,
                settings=profile.settings or [],
                flags=flags_of(profile, comparison),
                rounds=comparison.rounds,
                picture=comparison.picture,
                force=comparison.force,
                command=sys.argv[1:],
                listener=progress.show,
            )
        output.result(compared.to_dict(), *_tables(compared))


def _tables(compared: "Comparison") -> list["Table | str"]:
    from feda2v_cli.job.compare.report import HEADINGS, explanation

    granularities = table(HEADINGS[0], right=HEADINGS[1:])
    for row in compared.rows:
        granularities.add_row(*row.cells())
    return [
        granularities,
        "",
        explanation(compared.without_samples, compared.one_shot, compared.setting),
        f"wrote {', '.join(map(str, compared.files))} in {compared.seconds:.0f} s; run {compared.run_dir}",
    ]
