"""Options that several commands share: one name, one help text, one meaning."""

from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.", show_default=False)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors alone.", show_default=False)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more of what happens.", show_default=False)]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", "-p", metavar="NAME|PATH", help="A shipped profile, or a TOML file.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Set any key of the profile.", show_default=False),
]
GranularityName = Annotated[
    str | None,
    typer.Option("--granularity", "-g", metavar="NAME", help="unified, per_class or per_group.", show_default=False),
]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", metavar="DIR", help="Data in the ESC-50 layout.", show_default="built-in sounds"),
]
NodeIds = Annotated[
    str | None, typer.Option("--nodes", metavar="0,2", help="Only these nodes.", show_default="all nodes")
]
Rounds = Annotated[int | None, typer.Option("--rounds", metavar="N", help="Rounds.", show_default="from the profile")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed.", show_default="from the profile")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda or mps.", show_default="auto")
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="What training may take, like 2GB.", show_default="most of the free"),
]
BaseName = Annotated[
    str | None,
    typer.Option(
        "--base-name", metavar="NAME", help="First part of file names.", show_default="chosen by the granularity"
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that was interrupted.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.", show_default=False)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done and written, and stop.", show_default=False)
]


def flags(**options: tuple[str, Any]) -> dict[str, tuple[str, Any]]:
    """Options as the top layer of a profile.

    Args:
        options: by the option's name with underscores, the dotted key that it sets and its value; None sets nothing.

    Returns:
        What `load_profile(flags=…)` takes.
    """
    return {
        f"--{name.replace('_', '-')}": (key, str(value) if isinstance(value, Path) else value)
        for name, (key, value) in options.items()
        if value is not None
    }


def node_ids(text: str | None) -> tuple[int, ...] | None:
    """The ids in `0,2`; None stays None.

    Raises:
        UsageError: the text is no list of node ids.
    """
    from feda2v_cli.errors import UsageError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--nodes {text} — expected node ids with commas between them", hint="--nodes 0,2")
    return tuple(dict.fromkeys(int(part) for part in parts))
