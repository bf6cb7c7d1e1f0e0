import subprocess
import sys

import pytest

from feda2v_cli.checkpoint.lock import LockedError, lock_nodes
from feda2v_cli.errors import FailedError

_HOLD = """
import sys, time
from pathlib import Path
from feda2v_cli.checkpoint.lock import lock_nodes
with lock_nodes(Path(sys.argv[1]), "vae", [0, 1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds nodes 0 and 1."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.usefixtures("holder")
def test_a_second_run_of_the_same_node_is_refused_and_told_which(tmp_path):
    told = "another run is writing the checkpoints of node 1"
    with pytest.raises(LockedError, match=told) as caught, lock_nodes(tmp_path, "vae", [1, 2]):
        pass
    assert caught.value.exit_code == 4


@pytest.mark.usefixtures("holder")
def test_other_nodes_and_other_base_names_are_free(tmp_path):
    with lock_nodes(tmp_path, "vae", [2, 3]), lock_nodes(tmp_path, "gaussian", [0]):
        pass


@pytest.mark.usefixtures("holder")
def test_a_refused_run_holds_nothing(tmp_path):
    with pytest.raises(LockedError), lock_nodes(tmp_path, "vae", [1, 0]):
        pass
    with lock_nodes(tmp_path, "vae", [2]):
        pass


def test_what_a_killed_process_left_blocks_nobody(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert list(tmp_path.iterdir())
    with lock_nodes(tmp_path, "vae", [0, 1]):
        pass
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_a_run_or_an_error(tmp_path):
    with pytest.raises(RuntimeError), lock_nodes(tmp_path, "vae", [0]):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FailedError, match="cannot be written"), lock_nodes(tmp_path / "file", "vae", [0]):
        pass


@pytest.mark.usefixtures("holder")
def test_a_lock_names_its_file_because_its_holder_may_be_on_a_machine_that_is_gone(tmp_path):
    with pytest.raises(LockedError) as caught, lock_nodes(tmp_path, "vae", [1]):
        pass
    assert any(f"it holds {tmp_path / '.vae_node1.lock'}" in detail for detail in caught.value.details)
