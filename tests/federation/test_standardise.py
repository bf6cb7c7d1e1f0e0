import pytest
import torch
from federations import stored

from feda2v_cli.federation import standardise
from feda2v_cli.federation.standardise import Standardisation, Sums


def test_sums_of_nodes_give_the_figures_of_all_clips_together() -> None:
    clips = 3 + 5 * torch.randn(30, 4, 7)
    federated = Standardisation.of([Sums.of(stored(part)) for part in (clips[:4], clips[4:5], clips[5:])])
    standardised = federated(clips)
    assert standardised.mean((0, 1)).abs().max() < 1e-5
    assert torch.allclose(standardised.std((0, 1), correction=0), torch.ones(7), atol=1e-4)


def test_a_node_tells_no_more_than_sums() -> None:
    told = Sums.of(stored(torch.randn(9, 4, 7)))
    assert (told.total.shape, told.squares.shape, told.count) == ((7,), (7,), 36)


def test_a_dimension_that_never_varies_is_not_blown_up() -> None:
    clips = torch.randn(10, 4, 3)
    clips[..., 1] = 2.5
    standardised = Standardisation.of([Sums.of(stored(clips))])(clips)
    assert standardised[..., 1].abs().max() < 1e-3


def test_sums_are_the_same_of_parts_that_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = stored(torch.randn(30, 4, 7))
    whole = Sums.of(clips)
    monkeypatch.setattr(standardise, "_PART_BYTES", 8 * 4 * 7 * 8)

    parts = Sums.of(clips)

    assert parts.count == whole.count
    torch.testing.assert_close(parts.squares, whole.squares)
