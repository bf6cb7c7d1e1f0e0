"""What (ε, δ)-differential privacy promises: the most that any attack can find. It imports no PyTorch."""

import itertools
import math

#: Points of the curve that the largest AUC is the area under.
_POINTS = 4_001
_LARGEST_EXPONENT = 700.0


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
