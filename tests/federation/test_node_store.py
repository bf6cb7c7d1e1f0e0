from pathlib import Path

import torch

from feda2v_cli.federation.node_store import NodeStore


def test_what_is_written_is_read_by_another_process_of_the_same_run(tmp_path: Path) -> None:
    rows = torch.randn(2, 5)
    store = NodeStore(tmp_path, [3, 4, 9], {"clip": 5})
    store.fill(1, "clip", torch.zeros(5))
    store.write(1, "clip", [4, 9], rows)
    store.sync(1)
    again = NodeStore(tmp_path, [3, 4, 9], {"clip": 5})
    assert torch.equal(again.read(1, "clip", [9, 4]), rows.flip(0))
    assert torch.equal(again.read(1, "clip", [3]), torch.zeros(1, 5))


def test_a_round_that_is_written_leaves_the_round_before_whole(tmp_path: Path) -> None:
    store = NodeStore(tmp_path, [0, 1], {"clip": 5})
    before = torch.randn(2, 5)
    store.write(1, "clip", [0, 1], before)
    store.carry_over(2, "clip")
    store.write(2, "clip", [1], torch.ones(1, 5))
    assert torch.equal(store.read(1, "clip", [0, 1]), before)
    assert torch.equal(store.read(2, "clip", [0]), before[:1])
