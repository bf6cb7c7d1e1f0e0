"""The `feda2v` command: which commands there are, and how every one of them ends."""

import signal
import sys
from typing import Annotated

import typer

from feda2v_cli import __version__
from feda2v_cli.cli import (
    audit,
    checkpoints,
    compare,
    convert_config,
    evaluate,
    federate,
    flower,
    images,
    profiles,
    report,
    runs,
    targets,
    train_generators,
)
from feda2v_cli.cli.output import exit_on_misuse
from feda2v_cli.cli.plain_help import mend_help
from feda2v_cli.cli.streams import prepare_streams

mend_help()
app = typer.Typer(
    name="feda2v",
    help="Federated learning between audio and images: train, verify and use generators of audio embeddings.",
    epilog="Start with: feda2v train-generators --granularity per_group",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help is there in half the time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train-generators", epilog=train_generators.EXAMPLES)(train_generators.train_generators)
app.command("federate", epilog=federate.EXAMPLES)(federate.federate)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("audit", epilog=audit.EXAMPLES)(audit.audit)
app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
app.command("targets", epilog=targets.EXAMPLES)(targets.targets)
app.command("images", epilog=images.EXAMPLES)(images.images)
app.command("report", epilog=report.EXAMPLES)(report.report)
app.add_typer(runs.app, name="runs")
app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(flower.app, name="flower")
app.add_typer(profiles.app, name="profiles")
app.command("convert-config", epilog=convert_config.EPILOG)(convert_config.convert_config)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"feda2v {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line of this process and exit with the code that docs/command-line.md promises."""
    prepare_streams()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: a run ends cleanly
    with exit_on_misuse(sys.argv[1:]):
        sys.exit(app(standalone_mode=False))
