"""What (ε, δ)-differential privacy promises: the most that any attack can find. It imports no PyTorch."""

import itertools
import math
from dataclasses import dataclass
from typing import Self

#: Points of the curve that the largest AUC is the area under.
_POINTS = 4_001
_LARGEST_EXPONENT = 700.0


@dataclass(frozen=True)
class Bound:
    """The most that any attack finds of what promises (ε, δ).

    Attributes:
        epsilon: ε.
        delta: δ.
        auc: of the best attack that there can be.
        found_at_1_percent: share of members that it finds at 1 % false alarms.
        found_at_0_1_percent: likewise at 0.1 %.
    """

    epsilon: float
    delta: float
    auc: float
    found_at_1_percent: float
    found_at_0_1_percent: float

    @classmethod
    def of(cls, epsilon: float, delta: float) -> Self:
        """The bound of a promise."""
        found = (largest_found(share, epsilon, delta) for share in (0.01, 0.001))
        return cls(epsilon, delta, largest_auc(epsilon, delta), *found)


def largest_found(false_alarms: float, epsilon: float, delta: float) -> float:
    """The largest share of members that any attack finds at a share α of false alarms.

        found ≤ min(e^ε α + δ, 1 − e^(−ε) (1 − δ − α), 1)

    (Kairouz et al., The Composition Theorem for Differential Privacy, 2015, theorem 2.1).
    """
    raised = math.exp(min(epsilon, _LARGEST_EXPONENT))
    return max(0.0, min(raised * false_alarms + delta, 1 - (1 - delta - false_alarms) / raised, 1.0))


def largest_auc(epsilon: float, delta: float) -> float:
    """The largest AUC of any attack: the area under `largest_found`."""
    shares = [place / (_POINTS - 1) for place in range(_POINTS)]
    curve = [largest_found(share, epsilon, delta) for share in shares]
    return sum(left + right for left, right in itertools.pairwise(curve)) / 2 / (_POINTS - 1)
