"""How sure a share is that few clips have given. It imports no PyTorch."""

from math import sqrt

#: 97.5 % quantile of the normal distribution.
_QUANTILE = 1.959964


def wilson(hits: int, clips: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, "Probable inference, the law of succession", JASA 1927).

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

    It stays within 0 and 1, and is right for few clips and for shares near the ends.

    >>> wilson(8, 8)
    (0.6755..., 1.0)

    Args:
        hits: clips that were right.
        clips: n, at least one.
    """
    share, square = hits / clips, _QUANTILE**2
    centre = share + square / (2 * clips)
    half = _QUANTILE * sqrt(share * (1 - share) / clips + square / (4 * clips**2))
    low, high = (centre - half) / (1 + square / clips), (centre + half) / (1 + square / clips)
    return max(0.0, low), min(1.0, high)
