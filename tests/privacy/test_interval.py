import pytest
from scipy.stats import binomtest

from feda2v_cli.privacy.interval import wilson


@pytest.mark.parametrize(("hits", "clips"), [(0, 1), (1, 1), (6, 8), (8, 8), (101, 120), (5000, 10_000)])
def test_the_interval_is_that_of_wilson(hits: int, clips: int) -> None:
    expected = binomtest(hits, clips).proportion_ci(0.95, method="wilson")
    assert wilson(hits, clips) == pytest.approx((expected.low, expected.high), abs=1e-7)
