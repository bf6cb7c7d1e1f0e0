"""The command `feda2v profiles`."""

from typing import Annotated, Any

import typer

from feda2v_cli.cli.options import AsJson, ConsoleOptions, Settings
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import table

app = typer.Typer(help="List, show and check profiles.", no_args_is_help=True, rich_markup_mode=None)


@app.command("ls", epilog="Example: feda2v profiles ls")
def list_profiles(as_json: AsJson = False) -> None:
    """List the shipped profiles."""
    with command_output("profiles ls", ConsoleOptions(as_json)) as output:
        from feda2v_cli.profile.load import shipped_profiles, summary

        profiles = [
            {"name": name, "path": str(path), "summary": summary(path)} for name, path in shipped_profiles().items()
        ]
        listing = table("name", "what it does")
        for profile in profiles:
            listing.add_row(profile["name"], profile["summary"])
        output.result({"profiles": profiles}, listing)


@app.command("show", epilog="Example: feda2v profiles show per_group --set generator.epochs=5")
def show_profile(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A shipped profile, or a TOML file.")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show every value of a profile and where it comes from."""
    with command_output("profiles show", ConsoleOptions(as_json)) as output:
        from feda2v_cli.profile.load import load_profile, resolved_toml

        loaded = load_profile(name, settings=settings or [])
        data: dict[str, Any] = {
            "name": loaded.name,
            "path": str(loaded.path),
            "profile": loaded.profile.model_dump(mode="json"),
            "origins": dict(loaded.origins),
        }
        output.result(data, resolved_toml(loaded).rstrip())


@app.command("check", epilog="Example: feda2v profiles check my.toml")
def check_profile(
    path: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A TOML file, or a shipped profile.")],
    as_json: AsJson = False,
) -> None:
    """Check a profile.

    All of its problems are reported at once; exits with 2 when there are any.
    """
    with command_output("profiles check", ConsoleOptions(as_json)) as output:
        from feda2v_cli.profile.load import load_profile

        loaded = load_profile(path)
        nodes = len(loaded.profile.nodes)
        output.result(
            {"path": str(loaded.path), "nodes": nodes, "classes": list(loaded.profile.classes)},
            f"{path} is valid: {nodes} {'node' if nodes == 1 else 'nodes'}, "
            f"{len(loaded.profile.classes)} classes, granularity {loaded.profile.generator.granularity}",
        )
