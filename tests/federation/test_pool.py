import pytest
import torch

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.federation.pool import Pool, participants

EMBEDDINGS = torch.randn(6, 4, 5, generator=random_stream(0))
POOL = Pool(EMBEDDINGS, torch.arange(6), clips=6)
ITEMS = torch.tensor([3, 0, 5])
NODES = list(range(10))


def test_without_noise_none_is_drawn_and_embeddings_are_what_they_are() -> None:
    assert POOL.noise_width(0.0) == 0
    assert torch.equal(POOL.noisy(EMBEDDINGS[ITEMS], 0.0, torch.zeros(3, 0)), EMBEDDINGS[ITEMS])


def test_the_tokens_of_an_item_get_the_same_noise_in_standardised_units() -> None:
    noise = torch.randn(3, POOL.noise_width(0.5), generator=random_stream(1))
    added = POOL.noisy(EMBEDDINGS[ITEMS], 0.5, noise) - EMBEDDINGS[ITEMS]
    torch.testing.assert_close(added, 0.5 * noise[:, None].expand(3, 4, 5))


def test_samples_stand_behind_the_clips() -> None:
    first = POOL.with_samples(torch.ones(2, 4, 5), torch.tensor([1, 2]))
    again = POOL.with_samples(torch.zeros(1, 4, 5), torch.tensor([4]))
    assert first.labels.tolist() == [0, 1, 2, 3, 4, 5, 1, 2]
    assert again.labels.tolist() == [0, 1, 2, 3, 4, 5, 4]
    assert torch.equal(again.embeddings[:6], EMBEDDINGS)


@pytest.mark.parametrize(("fraction", "count"), [(1.0, 10), (0.5, 5), (0.31, 3), (0.001, 1)])
def test_a_fraction_of_the_nodes_is_asked(fraction: float, count: int) -> None:
    present, failed = participants(NODES, fraction, 0.0, 0, 1)
    assert (len(present), failed) == (count, [])


def test_other_rounds_ask_other_nodes() -> None:
    assert len({tuple(participants(NODES, 0.3, 0.0, 0, number)[0]) for number in range(1, 20)}) > 5


def test_the_same_seed_and_round_ask_the_same_nodes() -> None:
    assert participants(NODES, 0.3, 0.4, 7, 3) == participants(NODES, 0.3, 0.4, 7, 3)


def test_failing_nodes_were_asked_and_are_not_present() -> None:
    fails = 0
    for number in range(200):
        present, failed = participants(NODES, 0.5, 0.25, 0, number)
        assert len(present) + len(failed) == 5
        assert not set(present) & set(failed)
        fails += len(failed)
    assert fails / 1000 == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize(("dropout", "count"), [(0.0, 10), (1.0, 0)])
def test_dropout_none_and_all(dropout: float, count: int) -> None:
    assert len(participants(NODES, 1.0, dropout, 0, 1)[0]) == count
