"""How many axes the clips of a class pay for. Who checks checkpoints asks too, without importing PyTorch."""

import math

#: Clips of a class for each axis, up to 32 of them.
CLIPS_PER_AXIS = 8


def axes_of_class(clips: int) -> int:
    """How many axes so many clips of a class pay for: fewer tell fewer clips, more make samples more alike them.

    With n clips it is n / 8, and from 32 clips on 4 (n / 32)^⅔. Of what clips have beyond r axes that were fitted to
    them, r / n is missing, by which they are told from others; so r / n falls as n grows.
    """
    return max(1, min(clips // CLIPS_PER_AXIS, math.floor(4 * math.pow(clips / 32, 2 / 3) + 1e-9)))
