"""Thins a curve so that what is drawn stays the same: no peak and no dip is lost."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

#: First, last, lowest and highest of a column.
_KEPT_OF_A_COLUMN = 4


def thin(x: npt.NDArray[np.number], y: npt.NDArray[np.number], most: int) -> npt.NDArray[np.intp]:
    """Places of the points that are kept: of each column of pixels the first, the last, the lowest and the highest.

    A line through them covers the same pixels as one through all points (M4: Jugel, Jerzak, Hackenbroich and Markl,
    "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014), and every point is one that was measured.

    Args:
        x: ascending, [points].
        y: finite, [points].
        most: points that may be kept, at least 4.

    Returns:
        Ascending places, [kept].
    """
    if len(x) <= most:
        return np.arange(len(x))
    columns = np.linspace(x[0], x[-1], most // _KEPT_OF_A_COLUMN + 1)[1:-1]
    bounds = [0, *np.searchsorted(x, columns), len(x)]
    kept: set[int] = set()
    for start, end in pairwise(bounds):
        if start < end:
            column = y[start:end]
            kept |= {start, end - 1, start + int(column.argmin()), start + int(column.argmax())}
    return np.array(sorted(kept), dtype=np.intp)
