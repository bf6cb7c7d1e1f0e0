"""How much memory a new process may take: what the machine has left, and what its container allows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: Of a container without a limit the first version of cgroups says a number near 2⁶³.
_UNLIMITED = 1 << 60


def available_bytes(root: Path = Path("/")) -> int:
    """Bytes that can be taken without anything being swapped out, within every limit of the container.

    On Linux it is MemAvailable, which counts the page cache that the kernel gives back (MemFree does not), and less
    where a control group of this process, of the first version or the second, allows less.

    Args:
        root: where /proc and /sys are.
    """
    if sys.platform == "darwin":
        return bytes_of_vm_stat(subprocess.check_output(["/usr/bin/vm_stat"], text=True))
    meminfo = root / "proc" / "meminfo"
    if not meminfo.exists():  # another Unix: all that there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    machine = int(found[1]) * 1024 if found else _UNLIMITED
    return min([machine, *_left_in_groups(root)])


def bytes_of_vm_stat(text: str) -> int:
    """Bytes that macOS can give, from what its vm_stat prints: pages that are free, and those that it can give back."""
    size = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative):\s+(\d+)\.$", text, re.MULTILINE)
    if size is None or not pages:
        raise ValueError(f"vm_stat says something unknown: {text[:200]!r}")
    return int(size[1]) * sum(map(int, pages))


def _left_in_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group around this process has left, where it has a limit."""
    membership = root / "proc" / "self" / "cgroup"
    if not membership.exists():
        return
    for line in membership.read_text().splitlines():
        number, controllers, place = line.split(":", 2)
        if number == "0":
            yield from _left(root / "sys/fs/cgroup", place, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _left(root / "sys/fs/cgroup/memory", place, *names)


def _left(mount: Path, place: str, limit_name: str, usage_name: str, cache_name: str) -> Iterator[int]:
    inner = mount / place.lstrip("/")
    # In a container the place may be the host's, of which nothing is to be seen here: what is, is its own at the mount.
    for group in (inner, *inner.parents):
        if not group.is_relative_to(mount):
            return
        if not (group / limit_name).exists():
            continue
        limit = (group / limit_name).read_text().strip()
        if limit == "max" or int(limit) >= _UNLIMITED:
            continue
        cache = re.search(rf"^{cache_name} (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
        used = int((group / usage_name).read_text()) - (int(cache[1]) if cache else 0)
        yield max(0, int(limit) - used)
