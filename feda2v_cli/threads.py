"""How many threads torch spreads one operation over."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads_per_operation(count: int) -> Iterator[None]:
    """Spread each operation over `count` threads, and as before afterwards.

    Operations on one clip, or on many small models, are too small to gain by several threads, and lose much when the
    threads wait for each other on busy cores. One thread also gives the same bits whatever the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
