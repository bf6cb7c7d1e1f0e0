import pytest
import torch

from feda2v_cli.engine.stream import stream
from feda2v_cli.generator.balanced import balanced_normal, strongest_first, turned

LABELS = torch.tensor([1, 0, 0, 1, 1, 0, 0, 1, 2])


def test_the_samples_of_a_class_come_in_opposite_pairs() -> None:
    noise = balanced_normal(LABELS, 6, stream(0))
    for label in (0, 1):
        torch.testing.assert_close(noise[label == LABELS].sum(0), torch.zeros(6))
    assert noise[-1].abs().sum() > 0


def test_pairs_of_a_class_are_orthogonal_as_far_as_there_is_room() -> None:
    noise = balanced_normal(torch.zeros(10, dtype=torch.long), 3, stream(0))[::2]
    for block in (noise[:3], noise[3:]):
        products = block @ block.T
        torch.testing.assert_close(products, torch.diag(products.diagonal()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", [4, 8, 11])
def test_in_each_block_as_wide_as_there_are_pairs_the_pairs_are_orthogonal(width: int) -> None:
    noise = balanced_normal(torch.zeros(8, dtype=torch.long), width, stream(0))[::2]  # 4 pairs
    for block in torch.split(noise[:, : width // 4 * 4], 4, dim=1):
        products = block @ block.T
        torch.testing.assert_close(products, torch.diag(products.diagonal()), rtol=0, atol=1e-5)


def test_the_directions_that_move_embeddings_farthest_come_first() -> None:
    loadings = torch.randn(3, 7, 5, generator=stream(1))
    scale = torch.rand(7, generator=stream(2)) + 0.1
    for loading, directions in zip(loadings, strongest_first(loadings, scale), strict=True):
        torch.testing.assert_close(directions @ directions.T, torch.eye(5), rtol=0, atol=1e-5)
        moved = scale[:, None] * (loading @ directions.T)  # a column a direction
        torch.testing.assert_close(moved.norm(dim=0), torch.linalg.svdvals(scale[:, None] * loading))


def test_loadings_of_the_same_covariance_make_the_same_samples_of_the_same_noise() -> None:
    loading = torch.randn(1, 7, 5, generator=stream(1))
    turn = torch.linalg.qr(torch.randn(5, 5, generator=stream(2))).Q
    wider = torch.cat([loading @ turn, torch.zeros(1, 7, 4)], dim=-1)
    labels, samples = torch.zeros(6, dtype=torch.long), []
    for same in (loading, wider):
        noise = balanced_normal(labels, same.shape[-1], stream(3))
        samples.append(turned(noise, labels, strongest_first(same, torch.ones(7))) @ same[0].T)
    torch.testing.assert_close(*samples, rtol=1e-4, atol=1e-4)


def test_turned_noise_has_its_amounts_along_the_directions_of_its_class() -> None:
    noise = torch.randn(len(LABELS), 5, generator=stream(0))
    directions = strongest_first(torch.randn(3, 7, 5, generator=stream(1)), torch.ones(7))
    along = turned(noise, LABELS, directions)
    for sample, amounts, label in zip(along, noise, LABELS, strict=True):
        torch.testing.assert_close(directions[label] @ sample, amounts)


@pytest.mark.parametrize("samples", [1, 2, 7])
def test_each_sample_is_standard_normal(samples: int) -> None:
    labels = torch.zeros(samples, dtype=torch.long)
    random = stream(0)
    drawn = torch.stack([balanced_normal(labels, 4, random) for _ in range(4000)])  # [draws, samples, width]
    for sample in drawn.unbind(1):
        torch.testing.assert_close(torch.cov(sample.T), torch.eye(4), rtol=0, atol=0.12)
        torch.testing.assert_close(sample.mean(0), torch.zeros(4), rtol=0, atol=0.08)
        assert float(sample.pow(4).mean()) == pytest.approx(3, abs=0.3)


def test_few_samples_have_the_mean_of_their_distribution() -> None:
    noise = balanced_normal(torch.zeros(10, dtype=torch.long), 768, stream(0))
    assert float(noise.mean(0).abs().max()) < 1e-6


def test_no_samples_are_no_noise() -> None:
    assert balanced_normal(torch.zeros(0, dtype=torch.long), 4, stream(0)).shape == (0, 4)
