"""Sizes, times and durations as people read them."""

from datetime import UTC, datetime


def size(count: int) -> str:
    """Bytes with a decimal unit.

    >>> size(1_234_567)
    '1.2 MB'
    """
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def time_text(time: datetime | None) -> str:
    """A time in UTC, to the second; nothing for one that is not known."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration_text(seconds: float | None) -> str:
    """A duration; nothing for one that is not known.

    >>> duration_text(3725)
    '1 h 2 min'
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
