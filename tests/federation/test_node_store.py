import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.node_store import NodeStore


def test_what_is_written_is_read_by_another_process_of_the_same_run(tmp_path: Path) -> None:
    adapters = torch.randn(2, 5)
    store = NodeStore(tmp_path, [3, 4, 9], {"clip": 5})
    store.fill(1, "clip", torch.zeros(5))
    store.write(1, "clip", [4, 9], adapters)
    store.sync(1)
    again = NodeStore(tmp_path, [3, 4, 9], {"clip": 5})
    assert torch.equal(again.read(1, "clip", [9, 4]), adapters.flip(0))
    assert torch.equal(again.read(1, "clip", [3]), torch.zeros(1, 5))


def test_a_round_that_is_written_leaves_the_round_before_whole(tmp_path: Path) -> None:
    store = NodeStore(tmp_path, [0, 1], {"clip": 5})
    before = torch.randn(2, 5)
    store.write(1, "clip", [0, 1], before)
    store.carry_over(2, "clip")
    store.write(2, "clip", [1], torch.ones(1, 5))
    assert torch.equal(store.read(1, "clip", [0, 1]), before)
    assert torch.equal(store.read(2, "clip", [0]), before[:1])


def test_some_parameters_of_some_nodes_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    adapters = torch.randn(3, 8)
    store = NodeStore(tmp_path, [3, 4, 9], {"clip": 8})
    store.write(1, "clip", [3, 4, 9], adapters)
    assert torch.equal(store.read_part(1, "clip", [9, 3], slice(2, 5)), adapters[[2, 0], 2:5])


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_space_is_an_error_that_says_how_much_is_needed(tmp_path: Path) -> None:
    store = NodeStore(tmp_path, range(1000), {"clip": 500})
    with files_of_at_most(1_000_000), pytest.raises(FailedError) as failure:
        store.write(1, "clip", [0], torch.zeros(1, 500))
    assert "the adapters of 1000 nodes take 2 MB" in str(failure.value)
    assert failure.value.hint == f"df -h {tmp_path}"


def test_a_store_takes_its_space_on_the_disk_at_once(tmp_path: Path) -> None:
    NodeStore(tmp_path, range(1000), {"clip": 500}).write(1, "clip", [0], torch.zeros(1, 500))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= 2_000_000


def test_a_file_that_was_cut_is_an_error_that_names_it(tmp_path: Path) -> None:
    store = NodeStore(tmp_path, [0, 1], {"clip": 8})
    store.write(1, "clip", [0, 1], torch.ones(2, 8))
    (path,) = tmp_path.iterdir()
    os.truncate(path, 40)
    with pytest.raises(FailedError, match=f"{path.name} ends before the adapter of node 1"):
        store.read_part(1, "clip", [0, 1], slice(0, 8))
