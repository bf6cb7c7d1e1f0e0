"""What Gaussian noise promises, exactly, and how much of it a promise takes. It imports no PyTorch."""

import math
from collections.abc import Callable

_STEPS = 200
_SMALLEST, _LARGEST = 1e-4, 1e6


def delta_of(noise_multiplier: float, epsilon: float) -> float:
    """The δ at which noise promises ε.

        δ = Φ(1 / (2 z) − ε z) − e^ε Φ(−1 / (2 z) − ε z)

    (Balle and Wang, Improving the Gaussian Mechanism, 2018, theorem 8), with z the noise multiplier: the deviation of
    the noise over the sensitivity of what it is added to. Releases with multipliers z_i together are one with
    1 / z² = Σ_i 1 / z_i² (Dong, Roth and Su, Gaussian Differential Privacy, 2022, corollary 3.3); both are exact.
    """
    half, moved = 0.5 / noise_multiplier, epsilon * noise_multiplier
    # e^ε Φ(−t) of a large t is a huge number times a tiny one: both by their logarithms.
    tail = math.exp(min(epsilon + _log_below(-half - moved), 0.0))
    return max(0.0, _below(half - moved) - tail)


def noise_multiplier_for(epsilon: float, delta: float) -> float:
    """The smallest noise multiplier that promises (ε, δ)."""
    return _boundary(lambda multiplier: delta_of(multiplier, epsilon) <= delta)


def epsilon_of(noise_multiplier: float, delta: float) -> float:
    """The smallest ε that noise promises at a δ."""
    return _boundary(lambda epsilon: delta_of(noise_multiplier, epsilon) <= delta)


def _boundary(holds: Callable[[float], bool]) -> float:
    """Where a condition begins to hold, which it does from there on: found by halving, from above."""
    low, high = _SMALLEST, _LARGEST
    if holds(low):
        return low
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _below(value: float) -> float:
    """Φ, the normal distribution function."""
    return 0.5 * math.erfc(-value / math.sqrt(2))


def _log_below(value: float) -> float:
    below = _below(value)
    # Φ(−t) ≈ φ(t) / t far out, where Φ itself is too small for a number.
    return math.log(below) if below > 0 else -0.5 * value * value - math.log(-value * math.sqrt(2 * math.pi))
