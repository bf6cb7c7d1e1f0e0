import threading
import time
from collections.abc import Iterator

import pytest
import torch

from feda2v_cli.threads import side_by_side, small_operations, threads_of_large_operations


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_small_operations_get_one_thread_and_large_ones_what_there_was() -> None:
    with small_operations(), small_operations():
        assert torch.get_num_threads() == 1
        assert threads_of_large_operations() == 3
    assert torch.get_num_threads() == 3
    assert threads_of_large_operations() == 3


def test_threads_are_as_before_when_something_fails() -> None:
    with pytest.raises(ValueError, match="within"), small_operations():
        raise ValueError("within")
    assert (torch.get_num_threads(), threads_of_large_operations()) == (3, 3)


def test_results_come_in_the_order_of_what_is_done() -> None:
    def slower_first(place: int) -> int:
        time.sleep(0.05 * (3 - place))
        return place

    assert list(side_by_side([lambda place=place: slower_first(place) for place in range(3)], 3)) == [0, 1, 2]


def test_no_more_is_done_at_once_than_wanted_and_each_with_one_thread() -> None:
    running, most, threads = [0], [0], set()
    lock = threading.Lock()

    def counted() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threads.add(torch.get_num_threads())
        time.sleep(0.02)
        with lock:
            running[0] -= 1

    list(side_by_side([counted] * 8, 2))
    assert (most, threads) == ([2], {1})


def test_what_has_not_begun_never_does_after_a_failure() -> None:
    begun = []

    def fail() -> None:
        raise ValueError("first")

    def begin() -> None:
        begun.append(time.sleep(0.05))

    with pytest.raises(ValueError, match="first"):
        list(side_by_side([fail, *[begin] * 20], 1))
    assert len(begun) < 3
    assert torch.get_num_threads() == 3
