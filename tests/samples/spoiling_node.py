"""A node that sends what nobody can use: a real SuperNode, and all of its work is done, but answers are spoiled.

Its SuperNode is as slow as on a busy machine between making a task and keeping the message of it.

python tests/samples/spoiling_node.py PROFILE NODE HOST:PORT KEYS DIRECTORY
"""

import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from feda2v_cli.flower.guarded import end_with_parent
from feda2v_cli.flower.keys import Keys
from feda2v_cli.flower.letter import Letter
from feda2v_cli.flower.node import NodeWork
from feda2v_cli.flower.supernode import NodeOptions, run_supernode
from feda2v_cli.job.flower.node import prepare_node
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import ignore_event

#: With this word in the file `spoil` of the node's directory, something is wrong with the answers of some rounds.
ARRAYS = "arrays"
#: What is wrong with them, as the federation says it.
SPOILED = {
    2: "trained.clip is NaN or infinite",
    3: r"trained.clip has shape [1, 3], expected [57600]",
    4: "sent a letter trained may not have embeddings (torch.float32)",
}
#: With this one, a byte of its generator's checkpoint is another.
CHECKPOINT = "checkpoint"
#: With this one, a task of training ends without an answer.
LOSE = "lose"
#: With this one, training lasts as long as the file is there.
WAIT = "wait"
#: From a task of the SuperNode to its message.
MESSAGE_SECONDS = 0.5


class SpoilingWork:
    """Spoils the answers of a node's work."""

    def __init__(self, work: NodeWork, spoil: Path) -> None:
        self._work = work
        self._spoil = spoil

    def __call__(self, letter: Letter) -> Letter:
        answer = self._work(letter)
        spoil = self._spoil.read_text() if self._spoil.is_file() else ""
        if answer.kind == "trained":
            if spoil == ARRAYS:
                self._spoil_arrays(answer, letter.value("round"))
            if spoil == LOSE:
                sys.exit("no answer")  # of the thread, behind the back of whoever catches exceptions
            while spoil == WAIT and self._spoil.is_file():
                time.sleep(0.1)
        elif answer.checkpoints and spoil == CHECKPOINT:
            content = bytearray(answer.checkpoints[0])
            content[len(content) // 2] ^= 1
            return replace(answer, checkpoints=(bytes(content),))
        return answer

    def _spoil_arrays(self, answer: Letter, number: int) -> None:
        """Behind the back of `Letter`, which would refuse some of it here already."""
        arrays = answer.arrays
        assert isinstance(arrays, dict)
        if number == 2:
            arrays["trained.clip"][7] = torch.nan
        elif number == 3:
            arrays["trained.clip"] = torch.zeros(1, 3)
        elif number == 4:
            arrays["embeddings"] = torch.zeros(1, 4, 768)


def be_slow() -> None:
    """Let the SuperNode take its time before it keeps a message."""
    state: Any = import_module("flwr.supernode.nodestate.in_memory_nodestate").InMemoryNodeState
    keep = state.store_message

    def slowly(self: Any, message: Any) -> Any:
        time.sleep(MESSAGE_SECONDS)
        return keep(self, message)

    state.store_message = slowly


def main() -> None:
    end_with_parent()
    be_slow()
    profile, node, server, keys, directory = sys.argv[1:]
    work = NodeWork(prepare_node(load_profile(profile), int(node), ignore_event))
    place = Path(directory)
    options = NodeOptions(int(node), server, Keys(Path(keys)))
    run_supernode(options, SpoilingWork(work, place / "spoil"), place / "worker.key")


if __name__ == "__main__":
    main()
