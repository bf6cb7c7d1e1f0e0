"""What a run ran on, and what it took of it."""

import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """The machine that this process runs on: its processor, how many cores there are, and memory."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
    }


def peak_memory_bytes() -> int:
    """Most bytes that this process has held at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    """The processor's name as the kernel has it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []  # no Linux
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    """Bytes of memory that are built in; None where the system does not tell."""
    names = ("SC_PAGE_SIZE", "SC_PHYS_PAGES")
    if not all(name in os.sysconf_names for name in names):
        return None
    size, pages = map(os.sysconf, names)
    return size * pages
