import pytest
import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.principal_components import ClassMoments, PrincipalComponents, class_moments

SCALE = torch.tensor([9.0, 3, 1, 1, 1, 1])
LABELS = torch.arange(24) % 2
COORDINATES = torch.randn(24, 6, generator=random_stream(0))


def components(
    coordinates: Tensor = COORDINATES, labels: Tensor = LABELS, shrinkage: float = 0.0
) -> PrincipalComponents:
    classes = int(labels.max()) + 1
    return PrincipalComponents.of(class_moments(coordinates, labels, classes, shrinkage), SCALE)


def test_their_loadings_make_the_covariance_of_each_class() -> None:
    for label, loading in enumerate(components().loadings):
        torch.testing.assert_close(loading @ loading.T, torch.cov(COORDINATES[label == LABELS].T))


def test_those_that_move_embeddings_farthest_come_first() -> None:
    for loading in components().loadings:
        moved = SCALE[:, None] * loading
        lengths = moved.norm(dim=0)
        assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
        products = moved.T @ moved
        torch.testing.assert_close(products, torch.diag(products.diagonal()), rtol=0, atol=1e-3)


def test_each_moves_the_coordinate_that_it_moves_most_upwards() -> None:
    for loading in components().loadings:
        moved = SCALE[:, None] * loading
        assert (moved.gather(0, moved.abs().argmax(0, keepdim=True)) > 0).all()


def test_amounts_along_them_are_standard_for_the_clips_of_a_class() -> None:
    scores = components().scores(COORDINATES, LABELS)
    for label in (0, 1):
        torch.testing.assert_close(scores[label == LABELS].mean(0), torch.zeros(6), rtol=0, atol=1e-5)
        torch.testing.assert_close(torch.cov(scores[label == LABELS].T), torch.eye(6), rtol=0, atol=1e-4)


def test_coordinates_come_back_from_their_amounts() -> None:
    found = components()
    torch.testing.assert_close(found.coordinates(found.scores(COORDINATES, LABELS), LABELS), COORDINATES)


def test_a_class_of_few_clips_has_fewer_of_them() -> None:
    labels = torch.tensor([0] * 20 + [1] * 4)
    found = components(labels=labels)
    assert found.counts.tolist() == [6, 3]
    assert not found.loadings[1, :, 3:].any()
    clips = COORDINATES[labels == 1]
    torch.testing.assert_close(found.coordinates(found.scores(clips, labels[20:]), labels[20:]), clips)


@pytest.mark.parametrize("shrinkage", [0.0, 0.5])
@pytest.mark.parametrize("counts", [(24,), (12, 12), (20, 4), (23, 1), (3, 21)])
def test_the_largest_width_is_known_before_any_clip_is_read(counts: tuple[int, ...], shrinkage: float) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    most = PrincipalComponents.largest_width({str(label): count for label, count in enumerate(counts)}, 6, shrinkage)
    assert components(labels=labels, shrinkage=shrinkage).width <= most


def test_few_clips_on_many_axes_of_very_different_size_have_components() -> None:
    random = random_stream(1)
    turned, _ = torch.linalg.qr(torch.randn(209, 209, generator=random))
    scales = torch.tensor([1000.0] + [0.1] * 208)
    coordinates = torch.randn(210, 209, generator=random) * scales @ turned
    found = PrincipalComponents.of(class_moments(coordinates, torch.arange(210) % 7, 7, shrinkage=0.0), torch.ones(209))
    assert torch.isfinite(found.loadings).all()
    assert found.counts.tolist() == [29] * 7


CLIPS = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
THIRDS = torch.arange(30) % 3


def covariances(moments: ClassMoments) -> torch.Tensor:
    return torch.stack([root.mT @ root for root in moments.roots]).float()


def test_without_shrinkage_they_are_the_moments_of_each_class() -> None:
    moments = class_moments(CLIPS, THIRDS, 3, shrinkage=0.0)
    for label in range(3):
        own = CLIPS[label == THIRDS]
        torch.testing.assert_close(moments.means[label], own.mean(0))
        torch.testing.assert_close(covariances(moments)[label], torch.cov(own.T))


def test_with_full_shrinkage_all_classes_have_the_pooled_covariance() -> None:
    own = covariances(class_moments(CLIPS, THIRDS, 3, shrinkage=0.0))
    pooled = covariances(class_moments(CLIPS, THIRDS, 3, shrinkage=1.0))
    for label in range(3):
        torch.testing.assert_close(pooled[label], own.mean(0))


def test_one_class_is_not_changed_by_shrinkage() -> None:
    labels = torch.zeros(30, dtype=torch.long)
    plain, shrunk = (covariances(class_moments(CLIPS, labels, 1, share)) for share in (0.0, 0.7))
    torch.testing.assert_close(plain, shrunk)


def test_a_class_of_one_clip_has_the_pooled_covariance() -> None:
    labels = torch.tensor([0] * 29 + [1])
    covariance = covariances(class_moments(CLIPS, labels, 2, shrinkage=0.0))[1]
    torch.testing.assert_close(covariance, torch.cov(CLIPS[:29].T))


def test_moments_hold_the_rows_of_each_class_alone() -> None:
    assert [len(root) for root in class_moments(CLIPS, THIRDS, 3, shrinkage=0.0).roots] == [10, 10, 10]


def test_with_shrinkage_they_hold_no_more_of_the_other_classes_than_there_are_coordinates() -> None:
    assert [len(root) for root in class_moments(CLIPS, THIRDS, 3, shrinkage=0.5).roots] == [15, 15, 15]


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_many_clips_have_the_covariance_that_few_at_a_time_give(shrinkage: float, monkeypatch) -> None:
    clips = torch.randn(2000, 5, generator=random_stream(2)) @ torch.diag(torch.tensor([100.0, 10, 1, 0.1, 0.01]))
    labels = torch.arange(2000) % 2
    monkeypatch.setattr("feda2v_cli.generator.principal_components.ROWS_AT_ONCE", 128)
    found = PrincipalComponents.of(class_moments(clips, labels, 2, shrinkage), torch.ones(5))
    own = [torch.cov(clips[labels == label].double().T) for label in (0, 1)]
    for label, loading in enumerate(found.loadings.double()):
        expected = (1 - shrinkage) * own[label] + shrinkage * (own[0] + own[1]) / 2
        torch.testing.assert_close(loading @ loading.T, expected, rtol=1e-4, atol=1e-7)
