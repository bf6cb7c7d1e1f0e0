"""Keeps memory that training frees, for the next step needs as much of it again."""

import ctypes
import sys
from functools import cache

#: Of malloc.h in glibc; see mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

#: Tensors up to this size come from the heap; glibc takes no larger value (HEAP_MAX_SIZE / 2).
LARGEST_ON_HEAP = 32 * 1024**2
#: Freed memory that the process keeps at the end of its heap: more than a step of a stack frees.
KEPT_BYTES = 256 * 1024**2


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what training frees, once for the process; only glibc does otherwise.

    Every step makes and frees the same large tensors. glibc gives them back to the kernel when they are freed, and the
    kernel clears each page of them when the next step asks for it: up to half of the time of a step of 1,000 adapters.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, LARGEST_ON_HEAP)
            mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
