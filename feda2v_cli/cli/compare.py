"""The face of `feda2v compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feda2v_cli.cli.options import AsJson, DataRoot, Device, Force, ProfileName, Quiet, Seed, Settings, Verbose, flags
from feda2v_cli.cli.output import output_of

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


def compare(
    profile: ProfileName = None,
    data_root: DataRoot = None,
    destination: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the report and all that was trained go.")
    ] = Path("comparison"),
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Rounds of each federation.")] = 15,
    picture: Annotated[bool, typer.Option("--picture/--no-picture", help="Draw the picture.")] = True,
    seed: Seed = None,
    device: Device = None,
    force: Force = False,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """The three granularities side by side: trained on the same clips, evaluated, and federated.

    Writes comparison.md, comparison.json and comparison.png. The picture needs matplotlib: pip install 'feda2v[plot]'.
    """
    with output_of("compare", as_json=as_json, quiet=quiet, verbose=verbose) as output:
        from feda2v_cli.cli.progress import Progress
        from feda2v_cli.job.compare.run import compare as run

        with Progress(output) as progress:
            compared = run(
                profile or "unified",
                output=destination,
                settings=settings or [],
                flags=flags(
                    data_root=("data.root", data_root),
                    seed=("experiment.seed", seed),
                    device=("experiment.device", device),
                ),
                rounds=rounds,
                picture=picture,
                force=force,
                listener=progress.show,
            )
        output.result(compared.to_dict(), *_tables(compared))


def _tables(compared: "Comparison") -> list["Table | str"]:
    from rich.table import Table

    from feda2v_cli.job.compare.report import HEADINGS, explanation

    table = Table(HEADINGS[0], box=None, pad_edge=False)
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    for row in compared.rows:
        table.add_row(*row.cells())
    return [
        table,
        "",
        explanation(compared.without_samples, compared.setting),
        f"wrote {', '.join(map(str, compared.files))} in {compared.seconds:.0f} s",
    ]
