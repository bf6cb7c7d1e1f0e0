import pytest
from scipy import stats

from feda2v_cli.job.evaluate.summarise_draws import interval_half


@pytest.mark.parametrize("count", [2, 3, 5, 15, 40])
def test_the_interval_is_student_s(count: int) -> None:
    values = [float(index % 7) for index in range(count)]
    low, high = stats.t.interval(0.95, count - 1, loc=0, scale=stats.sem(values))
    assert interval_half(values) == pytest.approx((high - low) / 2, rel=0.03)
