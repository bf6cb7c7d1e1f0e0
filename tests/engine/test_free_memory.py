import subprocess
import sys
from pathlib import Path

import pytest

from feda2v_cli.engine.free_memory import available_bytes, bytes_of_vm_stat

MEMINFO = "MemTotal:       20000000 kB\nMemFree:         1000000 kB\nMemAvailable:    9000000 kB\n"
AVAILABLE = 9_000_000 * 1024


def machine(root: Path, membership: str = "") -> Path:
    """A directory with what Linux says in /proc of the machine and of the groups of a process."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(MEMINFO)
    (root / "proc/self/cgroup").write_text(membership)
    return root


def group(root: Path, place: str, **files: int | str) -> None:
    directory = root / "sys/fs/cgroup" / place
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("__", ".")).write_text(f"{text}\n")


pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has no /proc")


def test_free_memory_is_what_the_kernel_can_give_and_not_what_nobody_uses(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path)) == AVAILABLE


def test_a_container_of_the_second_version_has_what_its_limit_leaves(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/\n")
    group(root, "", memory__max=2_000_000_000, memory__current=700_000_000, memory__stat="inactive_file 200000000")
    assert available_bytes(root) == 1_500_000_000


def test_the_tightest_group_around_the_process_counts(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/jobs/mine\n")
    group(root, "jobs", memory__max=1_000_000_000, memory__current=600_000_000, memory__stat="inactive_file 0")
    group(root, "jobs/mine", memory__max="max", memory__current=1, memory__stat="")
    assert available_bytes(root) == 400_000_000


def test_a_container_of_the_first_version_has_what_its_limit_leaves(tmp_path: Path) -> None:
    root = machine(tmp_path, "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n")
    group(
        root,
        "memory",  # the container sees its own group at the mount, whatever the host calls it
        memory__limit_in_bytes=3_000_000_000,
        memory__usage_in_bytes=1_000_000_000,
        memory__stat="cache 5\ntotal_inactive_file 100000000",
    )
    assert available_bytes(root) == 2_100_000_000


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_a_group_without_a_limit_limits_nothing(tmp_path: Path, limit: str) -> None:
    root = machine(tmp_path, "0::/\n4:memory:/\n")
    group(root, "", memory__max=limit, memory__current=5, memory__stat="")
    group(root, "memory", memory__limit_in_bytes=limit, memory__usage_in_bytes=5, memory__stat="")
    assert available_bytes(root) == AVAILABLE


def test_this_machine_has_memory_and_no_more_than_there_is() -> None:
    free = available_bytes()
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < free < total


VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            200000.
Pages inactive:                           30000.
Pages speculative:                         4000.
Pages throttled:                              0.
Pages wired down:                        100000.
"Translation faults":                 123456789.
"""


def test_a_mac_has_the_pages_that_are_free_and_those_that_it_can_give_back() -> None:
    assert bytes_of_vm_stat(VM_STAT) == 44_000 * 16_384


def test_what_training_may_take_is_known_where_the_name_of_free_pages_is_not() -> None:
    code = (
        "import os, torch\n"
        "os.sysconf_names.pop('SC_AVPHYS_PAGES', None)\n"
        "from feda2v_cli.engine.memory import memory_budget\n"
        "print(memory_budget('auto', torch.device('cpu')))\n"
    )
    assert int(subprocess.check_output([sys.executable, "-c", code], text=True)) > 0
