import contextlib
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc

from feda2v_cli.quality.neighbours import (
    Distances,
    distances_to_the_rest,
    nearer_share,
    nearest_distances,
    neighbourhood,
)


def points(count: int, seed: int, features: int = 30, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(count, features, generator=torch.Generator().manual_seed(seed))


def reference(clips: torch.Tensor, samples: torch.Tensor, nearest: int) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(clips.double().numpy(), samples.double().numpy(), nearest_k=nearest)


@settings(deadline=None, max_examples=12)
@given(
    clips=st.integers(7, 40),
    samples=st.integers(7, 40),
    scale=st.floats(0.2, 2.0),
    nearest=st.integers(1, 5),
    seed=st.integers(0, 100),
)
def test_the_figures_are_those_of_prdc(clips: int, samples: int, scale: float, nearest: int, seed: int) -> None:
    real, synthetic = points(clips, seed), points(samples, seed + 1000, scale=scale)
    found = neighbourhood(Distances.of(real, synthetic), nearest)
    assert vars(found) == pytest.approx(reference(real, synthetic, nearest), abs=1e-12)


def test_recall_sees_lost_variety_and_precision_does_not() -> None:
    real = points(60, 0)
    found = neighbourhood(Distances.of(real, points(60, 1, scale=0.3)))
    assert found.recall < 0.1
    assert found.precision == 1


def test_few_points_have_balls_to_as_many_neighbours_as_there_are() -> None:
    found = neighbourhood(Distances.of(points(3, 0), points(2, 1)))
    assert all(np.isfinite(value) for value in vars(found).values())


def test_copies_are_nearer_than_every_clip_held_out() -> None:
    trained, held_out = points(30, 0), points(12, 1)
    share = nearer_share(nearest_distances(trained.clone(), trained), nearest_distances(held_out, trained))
    assert share == 1


def test_new_points_of_the_same_kind_are_as_near_as_clips_held_out() -> None:
    trained, held_out, new = points(100, 0), points(400, 1), points(400, 2)
    share = nearer_share(nearest_distances(new, trained), nearest_distances(held_out, trained))
    assert share == pytest.approx(0.5, abs=0.07)


def test_equal_distances_count_half() -> None:
    assert nearer_share(torch.ones(3), torch.ones(2)) == 0.5


def test_a_point_is_not_its_own_neighbour() -> None:
    line = torch.tensor([[0.0], [1.0], [5.0]])
    assert distances_to_the_rest(line).tolist() == pytest.approx([1, 1, 4])
