import pytest
import torch
from generator_samples import embeddings
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.generator.projection import Projection

CLIPS = embeddings(20).flatten(1)


def test_coordinates_are_white() -> None:
    coordinates = Projection.pca(CLIPS, rank=128, explained_share=1.0).project(CLIPS)
    torch.testing.assert_close(coordinates.mean(0), torch.zeros(19), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(coordinates.T), torch.eye(19), atol=2e-2, rtol=0)


def test_axes_are_orthonormal() -> None:
    axes = Projection.pca(CLIPS, rank=6, explained_share=1.0).axes
    assert axes is not None
    torch.testing.assert_close(axes @ axes.T, torch.eye(6), atol=1e-4, rtol=0)


def test_the_clips_themselves_are_restored_when_no_axis_is_cut() -> None:
    projection = Projection.pca(CLIPS, rank=128, explained_share=1.0)
    torch.testing.assert_close(projection.restore(projection.project(CLIPS)), CLIPS, atol=1e-3, rtol=1e-4)


@given(clips=st.integers(2, 20), rank=st.integers(1, 30))
def test_there_are_never_more_axes_than_clips_less_one(clips: int, rank: int) -> None:
    assert Projection.pca(CLIPS[:clips], rank, explained_share=1.0).rank == min(rank, clips - 1)


def test_axes_are_cut_where_they_explain_the_share_that_was_asked_for() -> None:
    variances = torch.linalg.svdvals(CLIPS - CLIPS.mean(0)).square()
    shares = variances.cumsum(0) / variances.sum()
    for share in (0.5, 0.9, 0.99):
        assert Projection.pca(CLIPS, 128, share).rank == int((shares < share).sum()) + 1


def test_the_sign_of_an_axis_is_a_rule() -> None:
    projection = Projection.pca(CLIPS, 6, 1.0)
    coordinates = projection.project(CLIPS)
    farthest = coordinates.abs().argmax(0)
    assert (coordinates.gather(0, farthest[None]) > 0).all()


@pytest.mark.parametrize("clips", [CLIPS[:1], CLIPS[:1].expand(5, -1)])
def test_clips_that_do_not_differ_span_no_axis(clips: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="span no axis"):
        Projection.pca(clips, 8, 1.0)


def test_without_projection_every_feature_is_a_standardised_coordinate() -> None:
    clips = torch.cat([CLIPS, torch.full((20, 1), 3.0)], dim=1)
    projection = Projection.none(clips)
    coordinates = projection.project(clips)
    torch.testing.assert_close(coordinates[:, :-1].std(0), torch.ones(96))
    assert (coordinates[:, -1] == 0).all()
    torch.testing.assert_close(projection.restore(coordinates), clips)


def test_long_embeddings_are_projected_in_the_clips_own_number() -> None:
    projection = Projection.pca(torch.randn(12, 1214 * 768), 128, 1.0)
    assert projection.rank == 11
    assert projection.axes is not None
    assert projection.axes.shape == (11, 1214 * 768)


def covariance_of(projection: Projection) -> torch.Tensor:
    assert projection.axes is not None
    scaled = projection.axes.double() * projection.scale.double()[:, None]
    return scaled.T @ scaled


@pytest.mark.parametrize("clips", [95, 96, 97, 300])
def test_axes_are_those_of_the_covariance_whichever_side_is_smaller(clips: int) -> None:
    embedded = embeddings(clips).flatten(1)
    projection = Projection.pca(embedded, 6, 1.0)
    variances, vectors = torch.linalg.eigh(torch.cov(embedded.double().T))
    expected = vectors[:, -6:] * variances[-6:] @ vectors[:, -6:].T
    torch.testing.assert_close(covariance_of(projection), expected, rtol=1e-4, atol=1e-3)
    coordinates = projection.project(embedded)
    assert (coordinates.gather(0, coordinates.abs().argmax(0)[None]) > 0).all()


@pytest.mark.parametrize("clips", [50, 300])
def test_axes_do_not_depend_on_how_many_parts_memory_holds(clips: int, monkeypatch) -> None:
    embedded = embeddings(clips).flatten(1)
    whole = Projection.pca(embedded, 16, 1.0)
    monkeypatch.setattr("feda2v_cli.generator.projection.PART_BYTES", 8 * 96 * 7)
    monkeypatch.setattr("feda2v_cli.generator.projection.CLIPS_AT_ONCE", 13)
    parts = Projection.pca(embedded, 16, 1.0)
    assert whole.axes is not None
    assert parts.axes is not None
    torch.testing.assert_close(parts.axes[:6], whole.axes[:6], rtol=0, atol=1e-4)
    torch.testing.assert_close(parts.project(embedded)[:, :6], whole.project(embedded)[:, :6], rtol=0, atol=1e-3)


def test_more_clips_than_features_keep_all_axes_that_there_are() -> None:
    embedded = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    projection = Projection.pca(embedded, 64, 1.0)
    assert projection.rank == 8
    torch.testing.assert_close(projection.restore(projection.project(embedded)), embedded)


def test_equal_clips_span_no_axis_however_many_they_are() -> None:
    with pytest.raises(ValueError, match="span no axis"):
        Projection.pca(CLIPS[:1].expand(200, -1), 8, 1.0)
