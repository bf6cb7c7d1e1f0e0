"""The commands `feda2v flower keys|server|node`: the same federation on several machines."""

from pathlib import Path
from typing import Annotated

import typer

from feda2v_cli.cli.options import ConsoleOptions, Force, ProfileOptions, takes_options
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import table

KEYS_EXAMPLES = """\b
Examples:
  feda2v flower keys -o keys --host lab.example.org --nodes 3
  feda2v flower keys -o keys --host 192.0.2.7 --nodes 3 --force
"""
SERVER_EXAMPLES = """\b
Examples:
  feda2v flower server --keys keys --port 9000
  feda2v flower server --keys keys --port 9000 --bind 192.0.2.7
"""
NODE_EXAMPLES = """\b
Examples:
  feda2v flower node -p node.toml --id 0 --server lab.example.org:9000 --keys keys
"""

app = typer.Typer(
    name="flower",
    help="The same federation on several machines: keys, a server, and nodes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

KeysDirectory = Annotated[Path, typer.Option("--keys", metavar="DIR", help="This machine's keys.", show_default=False)]


@app.command("keys", epilog=KEYS_EXAMPLES)
@takes_options
def keys(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where they go.", show_default=False)],
    host: Annotated[list[str], typer.Option(metavar="NAME", help="Name or address of the server.", show_default=False)],
    nodes: Annotated[int, typer.Option(metavar="N", min=1, help="How many nodes there are.", show_default=False)],
    force: Force = False,
    console: ConsoleOptions,
) -> None:
    """Make a certificate for the server and a key for every node."""
    with command_output("flower keys", console) as out:
        from feda2v_cli.flower.process import require_flower

        require_flower()
        from feda2v_cli.flower.keys import AUTHORITY, CERTIFICATE, COMMAND_KEY, SERVER_KEY, make_keys, node_key
        from feda2v_cli.flower.keys import node_public_key as public

        written = make_keys(output, host, range(nodes), force=force)
        known = [public(node) for node in range(nodes)]
        goes_to = {
            "the server": [AUTHORITY, CERTIFICATE, SERVER_KEY, COMMAND_KEY, *known],
            "who types federate": [AUTHORITY, COMMAND_KEY, *known],
            **{f"node {node}": [AUTHORITY, node_key(node)] for node in range(nodes)},
        }
        rows = table("machine", f"files of {output}")
        for machine, names in goes_to.items():
            rows.add_row(machine, ", ".join(names))
        out.result({"files": [str(path) for path in written], "machines": goes_to}, rows)


@app.command("server", epilog=SERVER_EXAMPLES)
@takes_options
def server(
    *,
    keys: KeysDirectory,
    port: Annotated[int, typer.Option(metavar="PORT", min=1, max=65535, help="On which it listens.")] = 9000,
    bind: Annotated[str, typer.Option(metavar="ADDRESS", help="On which it listens.")] = "0.0.0.0",
    state: Annotated[Path, typer.Option(metavar="DIR", help="Its state and its log.")] = Path("flower-server"),
    console: ConsoleOptions,
) -> None:
    """Run the server that nodes connect to, until Ctrl-C."""
    with command_output("flower server", console) as output:
        from feda2v_cli.job.flower.serve import serve

        serve(keys, bind, port, state, lambda text: output.note(text))
        output.result({"state": str(state)}, "the server has ended")


@app.command("node", epilog=NODE_EXAMPLES)
@takes_options
def node(
    *,
    profile: ProfileOptions,
    identity: Annotated[int, typer.Option("--id", metavar="N", min=0, help="Which node.", show_default=False)],
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="The server.", show_default=False)],
    keys: KeysDirectory,
    console: ConsoleOptions,
) -> None:
    """Run a node: it answers what its own profile allows, until Ctrl-C."""
    with command_output("flower node", console) as output:
        from feda2v_cli.job.flower.serve import run_node

        loaded = profile.load("use_pretrained")
        run = run_node(loaded, identity, server, keys, lambda text: output.note(text))
        output.result({"run_dir": str(run)}, f"node {identity} has ended; run {run}")
