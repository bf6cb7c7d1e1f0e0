"""How well an attack tells members from others."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

from torch import Tensor

#: False alarms at which the share of members that are found is told.
FALSE_ALARMS = (0.01, 0.001)
#: Share of intervals that miss what they are for.
_MISSES = 0.05


@dataclass(frozen=True)
class Advantage:
    """Figures of one attack.

    Attributes:
        auc: share of pairs of a member and another clip in which the member scores higher; ½ is chance.
        low: lower end of its 95 % confidence interval, which holds for all attacks of a kind together.
        high: upper end.
        found_at_1_percent: share of the members found where 1 % of the others are taken for members; None where there
            are too few others to tell.
        found_at_0_1_percent: the same at 0.1 %.
        members: how many clips trained.
        others: how many did not.
    """

    auc: float
    low: float
    high: float
    found_at_1_percent: float | None
    found_at_0_1_percent: float | None
    members: int
    others: int

    @classmethod
    def of(cls, members: Tensor, others: Tensor, attacks: int = 1) -> Self:
        """The figures of scores, which are higher for what the attack takes for members.

        The interval is that of DeLong, DeLong and Clarke-Pearson (1988): with V_i the share of others below member i
        and W_j the share of members above other j, var AUC = var(V) / m + var(W) / n. Of several attacks one looks at
        the strongest, which is partly so by chance: the intervals of k attacks miss with 5 % / k each (Bonferroni).

        Args:
            members: scores, [m].
            others: scores, [n].
            attacks: k, of which this is one.
        """
        above, level = members[:, None] > others[None, :], members[:, None] == others[None, :]
        pairs = above.double() + 0.5 * level.double()
        auc = float(pairs.mean())
        sides = ((pairs.mean(1), len(members)), (pairs.mean(0), len(others)))
        error = math.sqrt(sum(float(side.var()) / count for side, count in sides if count > 1))
        at_1, at_0_1 = (_found(members, others, share) for share in FALSE_ALARMS)
        error *= NormalDist().inv_cdf(1 - _MISSES / attacks / 2)
        low, high = max(0.0, auc - error), min(1.0, auc + error)
        return cls(auc, low, high, at_1, at_0_1, len(members), len(others))


def _found(members: Tensor, others: Tensor, false_alarms: float) -> float | None:
    """Share of members above all but so large a share of the others."""
    allowed = math.floor(false_alarms * len(others) + 1e-9)
    if allowed < 1:
        return None
    threshold = others.sort(descending=True).values[allowed - 1]
    return float((members > threshold).double().mean())
