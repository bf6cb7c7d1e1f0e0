import torch
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.engine.batch import draw_epoch, in_turn, steps_per_epoch
from feda2v_cli.engine.random_stream import random_stream

SIZES = st.lists(st.integers(17, 32), min_size=1, max_size=4)


def epoch(sizes: list[int], first: int = 0, noise: int = 3):
    streams = [random_stream(0, first + model) for model in range(len(sizes))]
    return draw_epoch(streams, sizes, [noise] * len(sizes), steps=2)


@given(SIZES)
def test_every_item_is_seen_once_an_epoch(sizes: list[int]) -> None:
    drawn = epoch(sizes)
    for model, size in enumerate(sizes):
        seen = drawn.index[:, model][drawn.mask[:, model] == 1]
        assert sorted(seen.tolist()) == list(range(size))


@given(SIZES)
def test_the_batches_of_a_model_differ_by_one_item_at_most(sizes: list[int]) -> None:
    counts = epoch(sizes).mask.sum(2)
    assert (counts.max(0).values - counts.min(0).values).max() <= 1


@given(SIZES)
def test_what_a_model_sees_does_not_depend_on_its_neighbours(sizes: list[int]) -> None:
    together = epoch(sizes)
    for model, size in enumerate(sizes):
        alone = epoch([size], first=model)
        width = alone.index.shape[2]
        assert torch.equal(together.index[:, model, :width], alone.index[:, 0])
        assert torch.equal(together.mask[:, model, :width], alone.mask[:, 0])
        assert torch.equal(together.noise[:, model, :width], alone.noise[:, 0])


def test_items_that_do_not_fill_the_last_batch_take_a_step_more() -> None:
    assert [steps_per_epoch(items, 16) for items in (1, 16, 17, 32, 33)] == [1, 1, 2, 2, 3]


def test_where_an_epoch_would_take_too_many_steps_batches_are_larger() -> None:
    assert [steps_per_epoch(items, 16, most=4) for items in (1, 17, 64, 65, 1000)] == [1, 2, 4, 4, 4]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_steps_of_groups_are_evenly_mixed(steps: list[int]) -> None:
    order = in_turn(steps)
    assert sorted(order) == [(group, step) for group, count in enumerate(steps) for step in range(count)]
    for end in range(len(order) + 1):
        for group, count in enumerate(steps):
            passed = [step for own, step in order[:end] if own == group]
            assert passed == list(range(len(passed)))
            assert abs(len(passed) - count * end / len(order)) <= len(steps) / 2 + 0.5
