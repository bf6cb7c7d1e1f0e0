"""The command `feda2v profiles`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from feda2v_cli.cli.options import AsJson, ConsoleOptions, Force, ProfileOptions, Settings, takes_options
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import table
from feda2v_cli.counted import counted

app = typer.Typer(help="List, show, check and make profiles.", no_args_is_help=True, rich_markup_mode=None)


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
        nodes, classes = len(loaded.profile.nodes), loaded.profile.classes
        output.result(
            {"path": str(loaded.path), "nodes": nodes, "classes": list(classes)},
            f"{path} is valid: {counted(nodes, 'node')}, {counted(len(classes), 'class')}, "
            f"granularity {loaded.profile.generator.granularity}",
        )


@app.command("partition", epilog="Example: feda2v profiles partition --data-root data/VEGAS --nodes 10 -o mine.toml")
@takes_options
def partition_data(
    *,
    profile: ProfileOptions,
    nodes: Annotated[int, typer.Option("--nodes", metavar="N", min=1, help="How many nodes.")],
    by: Annotated[
        str,
        typer.Option("--by", metavar="WAY", help="iid, class, or dirichlet:ALPHA (the smaller, the more they differ)."),
    ] = "iid",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of what is drawn.")] = 0,
    destination: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The profile that is written.")],
    force: Force = False,
    console: ConsoleOptions,
) -> None:
    """Deal a data set to nodes, and write a profile with them.

    Every clip is held by one node. What --profile says beside its nodes is kept; it takes labels alone, and no audio
    is read.
    """
    with command_output("profiles partition", console) as output:
        from feda2v_cli.data.nodes import notes_on
        from feda2v_cli.data.partition import Dealing
        from feda2v_cli.job.partition import partition, too_few

        dealing = Dealing.parse(by)
        loaded = profile.load("unified")
        keep = profile.profile is not None
        done = partition(loaded, nodes, dealing, seed, destination, keep=keep, force=force)
        for note in (*notes_on(done.nodes), *too_few(done.nodes, loaded.profile.generator.fewest_clips)):
            output.warn(note)
        data = done.to_dict()
        histogram = table("node", "classes", right=("train", "val", "test"))
        histogram.columns[1].overflow = "fold"
        for node in data["nodes"]:
            held = ", ".join(f"{name} {count}" for name, count in node["classes"].items())
            histogram.add_row(str(node["node"]), held, *(str(node[part]) for part in ("train", "val", "test")))
        total = sum(node[part] for node in data["nodes"] for part in ("train", "val", "test"))
        output.result(
            data, histogram, f"{total} clips, each held by one of {counted(nodes, 'node')}; wrote {destination}"
        )
