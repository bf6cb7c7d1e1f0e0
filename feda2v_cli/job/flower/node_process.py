"""The process of a node.

python -m feda2v_cli.job.flower.node_process PROFILE NODE HOST:PORT KEYS DIRECTORY
"""

import os
import sys
from pathlib import Path

from feda2v_cli.errors import Feda2vError
from feda2v_cli.flower.guarded import end_with_parent
from feda2v_cli.flower.keys import Keys
from feda2v_cli.flower.node import NodeWork
from feda2v_cli.flower.supernode import NodeOptions, run_supernode
from feda2v_cli.job.flower.node import prepare_node
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Event, Noted, Warned

#: Stands in the log when the node has all that it needs; what follows is of Flower.
READY = "prepared"


def main() -> None:
    """Run a node until its parent ends."""
    end_with_parent()
    profile, node, server, keys, directory = sys.argv[1:]
    options = NodeOptions(int(node), server, Keys(Path(keys)))
    try:
        data = prepare_node(load_profile(profile), options.node, _show)
    except Feda2vError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    print(READY, flush=True)
    run_supernode(options, NodeWork(data), Path(directory) / f"worker-{os.getpid()}.key")


def _show(event: Event) -> None:
    if isinstance(event, Noted | Warned):
        print(event.text, flush=True)


if __name__ == "__main__":
    main()
