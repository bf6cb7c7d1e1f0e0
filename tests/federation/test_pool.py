import torch

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.federation.pool import Pool

EMBEDDINGS = torch.randn(6, 4, 5, generator=random_stream(0))
POOL = Pool(EMBEDDINGS, torch.arange(6), clips=6)
ITEMS = torch.tensor([3, 0, 5])


def test_without_noise_none_is_drawn_and_embeddings_are_what_they_are() -> None:
    assert POOL.noise_width(0.0) == 0
    assert torch.equal(POOL.noisy(ITEMS, 0.0, torch.zeros(3, 0)), EMBEDDINGS[ITEMS])


def test_the_tokens_of_an_item_get_the_same_noise_in_standardised_units() -> None:
    noise = torch.randn(3, POOL.noise_width(0.5), generator=random_stream(1))
    added = POOL.noisy(ITEMS, 0.5, noise) - EMBEDDINGS[ITEMS]
    torch.testing.assert_close(added, 0.5 * noise[:, None].expand(3, 4, 5))


def test_samples_stand_behind_the_clips_and_take_the_place_of_earlier_ones() -> None:
    first = POOL.with_samples(torch.ones(2, 4, 5), torch.tensor([1, 2]))
    again = first.with_samples(torch.zeros(1, 4, 5), torch.tensor([4]))
    assert first.labels.tolist() == [0, 1, 2, 3, 4, 5, 1, 2]
    assert again.labels.tolist() == [0, 1, 2, 3, 4, 5, 4]
    assert torch.equal(again.embeddings[:6], EMBEDDINGS)
