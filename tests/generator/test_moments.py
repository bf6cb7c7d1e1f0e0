import torch

from feda2v_cli.generator.moments import ClassMoments, class_moments

COORDINATES = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 3


def covariances(moments: ClassMoments) -> torch.Tensor:
    return moments.roots.mT @ moments.roots


def test_without_shrinkage_they_are_the_moments_of_each_class() -> None:
    moments = class_moments(COORDINATES, LABELS, 3, shrinkage=0.0)
    for label in range(3):
        own = COORDINATES[label == LABELS]
        torch.testing.assert_close(moments.means[label], own.mean(0))
        torch.testing.assert_close(covariances(moments)[label], torch.cov(own.T))


def test_with_full_shrinkage_all_classes_have_the_pooled_covariance() -> None:
    own = covariances(class_moments(COORDINATES, LABELS, 3, shrinkage=0.0))
    pooled = covariances(class_moments(COORDINATES, LABELS, 3, shrinkage=1.0))
    for label in range(3):
        torch.testing.assert_close(pooled[label], own.mean(0))


def test_one_class_is_not_changed_by_shrinkage() -> None:
    labels = torch.zeros(30, dtype=torch.long)
    plain, shrunk = (covariances(class_moments(COORDINATES, labels, 1, share)) for share in (0.0, 0.7))
    torch.testing.assert_close(plain, shrunk)


def test_a_class_of_one_clip_has_the_pooled_covariance() -> None:
    labels = torch.tensor([0] * 29 + [1])
    covariance = covariances(class_moments(COORDINATES, labels, 2, shrinkage=0.0))[1]
    torch.testing.assert_close(covariance, torch.cov(COORDINATES[:29].T))
