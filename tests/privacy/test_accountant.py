"""Our accountant beside dp-accounting's, which adds up distributions of privacy loss and knows no closed form."""

import math

import pytest

from feda2v_cli.privacy.accountant import delta_of, epsilon_of, noise_multiplier_for

losses = pytest.importorskip("dp_accounting.pld.privacy_loss_distribution")
#: Of privacy loss, between two points of a distribution.
STEP = 1e-4
CASES = [(0.5, 8.0), (0.7, 3.0), (1.0, 1.0), (2.0, 0.5), (4.2, 1.0)]


@pytest.mark.parametrize(("noise", "epsilon"), CASES)
def test_delta_is_that_of_dp_accounting(noise: float, epsilon: float) -> None:
    theirs = losses.from_gaussian_mechanism(noise, value_discretization_interval=STEP)
    assert delta_of(noise, epsilon) == pytest.approx(theirs.get_delta_for_epsilon(epsilon), abs=1e-9)


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-5), (2.0, 1e-6), (8.0, 1e-5)])
def test_the_noise_of_a_promise_keeps_it_by_dp_accounting_too(epsilon: float, delta: float) -> None:
    noise = noise_multiplier_for(epsilon, delta)
    theirs = losses.from_gaussian_mechanism(noise, value_discretization_interval=STEP)
    assert theirs.get_epsilon_for_delta(delta) == pytest.approx(epsilon, abs=1e-6)


@pytest.mark.parametrize("noises", [(4.0, 4.0, 4.0), (2.0, 5.0), (1.5, 3.0, 6.0, 12.0)])
def test_releases_add_up_as_dp_accounting_composes_them(noises: tuple[float, ...]) -> None:
    together = 1 / math.sqrt(sum(noise**-2 for noise in noises))
    first, *others = (losses.from_gaussian_mechanism(noise, value_discretization_interval=STEP) for noise in noises)
    for other in others:
        first = first.compose(other)
    assert epsilon_of(together, 1e-5) == pytest.approx(first.get_epsilon_for_delta(1e-5), abs=1e-6)
