import pytest
import torch

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.balanced import balanced_normal

LABELS = torch.tensor([1, 0, 0, 1, 1, 0, 0, 1, 2])


def test_the_samples_of_a_class_come_in_opposite_pairs() -> None:
    noise = balanced_normal(LABELS, 6, random_stream(0))
    for label in (0, 1):
        torch.testing.assert_close(noise[label == LABELS].sum(0), torch.zeros(6))
    assert noise[-1].abs().sum() > 0


def test_pairs_of_a_class_are_orthogonal_as_far_as_there_is_room() -> None:
    noise = balanced_normal(torch.zeros(10, dtype=torch.long), 3, random_stream(0))[::2]
    for block in (noise[:3], noise[3:]):
        products = block @ block.T
        torch.testing.assert_close(products, torch.diag(products.diagonal()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", [4, 8, 11])
def test_in_each_block_as_wide_as_there_are_pairs_the_pairs_are_orthogonal(width: int) -> None:
    noise = balanced_normal(torch.zeros(8, dtype=torch.long), width, random_stream(0))[::2]  # 4 pairs
    for block in torch.split(noise[:, : width // 4 * 4], 4, dim=1):
        products = block @ block.T
        torch.testing.assert_close(products, torch.diag(products.diagonal()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_each_sample_is_standard_normal(samples: int) -> None:
    labels = torch.zeros(samples, dtype=torch.long)
    random = random_stream(0)
    drawn = torch.stack([balanced_normal(labels, 4, random) for _ in range(4000)])  # [draws, samples, width]
    for sample in drawn.unbind(1):
        torch.testing.assert_close(torch.cov(sample.T), torch.eye(4), rtol=0, atol=0.12)
        torch.testing.assert_close(sample.mean(0), torch.zeros(4), rtol=0, atol=0.08)
        assert float(sample.pow(4).mean()) == pytest.approx(3, abs=0.3)


def test_few_samples_have_the_mean_of_their_distribution() -> None:
    noise = balanced_normal(torch.zeros(10, dtype=torch.long), 768, random_stream(0))
    assert float(noise.mean(0).abs().max()) < 1e-6


def test_no_samples_are_no_noise() -> None:
    assert balanced_normal(torch.zeros(0, dtype=torch.long), 4, random_stream(0)).shape == (0, 4)
