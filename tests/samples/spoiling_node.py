"""A node that sends what nobody can use: a real SuperNode, and all of its work is done, but answers are spoiled.

python tests/samples/spoiling_node.py PROFILE NODE HOST:PORT KEYS DIRECTORY
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from feda2v_cli.flower.guarded import end_with_parent
from feda2v_cli.flower.keys import Keys
from feda2v_cli.flower.letter import Letter
from feda2v_cli.flower.node import NodeWork
from feda2v_cli.flower.supernode import NodeOptions, run_supernode
from feda2v_cli.job.flower.node import prepare_node
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import ignore_event

#: What is wrong with the answer in these rounds, as the federation says it.
SPOILED = {
    2: "trained.clip is NaN or infinite",
    3: r"trained.clip has shape [1, 3], expected [57600]",
    4: "sent a letter trained may not have embeddings (torch.float32)",
}
#: With this word in the file `spoil` of the node's directory, a byte of its generator's checkpoint is another.
CHECKPOINT = "checkpoint"


class SpoilingWork:
    """Spoils the answers of a node's work."""

    def __init__(self, work: NodeWork, spoil: Path) -> None:
        self._work = work
        self._spoil = spoil

    def __call__(self, letter: Letter) -> Letter:
        answer = self._work(letter)
        if answer.kind == "trained":
            self._spoil_arrays(answer, letter.value("round"))
        elif answer.checkpoints and self._spoil.is_file() and self._spoil.read_text() == CHECKPOINT:
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


def main() -> None:
    end_with_parent()
    profile, node, server, keys, directory = sys.argv[1:]
    work = NodeWork(prepare_node(load_profile(profile), int(node), ignore_event))
    place = Path(directory)
    options = NodeOptions(int(node), server, Keys(Path(keys)))
    run_supernode(options, SpoilingWork(work, place / "spoil"), place / "worker.key")


if __name__ == "__main__":
    main()
