"""How many threads torch spreads one operation over, and doing things side by side instead."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


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


#: Threads of large operations, within `small_operations`.
_of_large_operations: int | None = None


@contextmanager
def small_operations(large: int | None = None) -> Iterator[None]:
    """Spread no operation over threads, but those that ask for `threads_of_large_operations`.

    What a command does is small operations but for few, and one that is forgotten costs more than it could gain.

    Args:
        large: what those that ask are told; None for as many threads as there were.
    """
    global _of_large_operations
    outer = _of_large_operations
    _of_large_operations = large or threads_of_large_operations()
    try:
        with threads_per_operation(1):
            yield
    finally:
        _of_large_operations = outer


def threads_of_large_operations() -> int:
    """How many threads there are for operations, or side by side for what consists of small ones."""
    return torch.get_num_threads() if _of_large_operations is None else _of_large_operations


def side_by_side(things: Iterable[Callable[[], T]], at_once: int) -> Generator[T, None, None]:
    """Do things that do not depend on each other in threads, each with one thread an operation.

    Where one of them fails, or whoever takes the results stops, those that have begun end and the others never begin.

    Args:
        things: to do.
        at_once: most of them at the same time.

    Yields:
        What each gives, in the order of `things`.
    """
    with threads_per_operation(1):
        pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="side-by-side")
        try:
            for future in [pool.submit(thing) for thing in things]:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
