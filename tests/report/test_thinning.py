import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.report.thinning import thin

CURVES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400)


@given(CURVES, st.integers(4, 60))
def test_ends_and_extremes_stay_and_there_are_no_more_points_than_asked_for(values: list[float], most: int) -> None:
    x, y = np.arange(len(values)), np.array(values)
    kept = thin(x, y, most)
    assert len(kept) <= max(most, 4)
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert y[kept].min() == y.min()
    assert y[kept].max() == y.max()


@given(CURVES)
def test_a_line_through_the_points_that_stay_covers_the_same_pixels(values: list[float]) -> None:
    """Within a column of pixels what is seen of a line is where it comes in, its reach, and where it leaves."""
    x, y = np.arange(len(values)), np.array(values)
    columns = 12
    kept = thin(x, y, 4 * columns)
    column_of = np.minimum((x * columns) // max(len(values) - 1, 1), columns - 1)
    for column in range(columns):
        all_there, thinned = y[column_of == column], y[kept][column_of[kept] == column]
        if len(all_there):
            assert (all_there[0], all_there[-1]) == (thinned[0], thinned[-1])
            assert (all_there.min(), all_there.max()) == (thinned.min(), thinned.max())


def test_a_single_peak_in_ten_thousand_rounds_stays() -> None:
    y = np.ones(10_000)
    y[6543] = 2
    assert 6543 in thin(np.arange(1, 10_001), y, 200)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_few_points_stay_as_they_are(count: int) -> None:
    assert list(thin(np.arange(count), np.arange(count), 4)) == list(range(count))
