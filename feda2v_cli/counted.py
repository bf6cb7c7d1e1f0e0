"""Counts in words, and rounded."""

from collections import Counter
from collections.abc import Iterable


def counted(count: int, words: str) -> str:
    """So many of something: `1 class`, `2 classes`, `3 wrong values`.

    Args:
        count: how many.
        words: what they are, in the singular; the last of them gets the plural.
    """
    return f"{count} {words}" if count == 1 else f"{count} {words}{'es' if words.endswith('s') else 's'}"


def rounded_count(count: int, multiple: int) -> int:
    """The nearest multiple that is not zero: no class is without clips.

    >>> [rounded_count(count, 10) for count in (1, 14, 15, 32)]
    [10, 10, 20, 30]

    Args:
        count: one at least.
        multiple: 1 leaves it as it is.
    """
    return max(1, (2 * count + multiple) // (2 * multiple)) * multiple


def told_counts(names: Iterable[str], multiple: int) -> dict[str, int]:
    """How often each name is there, rounded, by name in alphabetical order.

    Args:
        names: any, each as often as it counts.
        multiple: as for `rounded_count`.
    """
    return {name: rounded_count(count, multiple) for name, count in sorted(Counter(names).items())}


def fewest_of(told: int, multiple: int, least: int = 1) -> int:
    """The smallest count that is told so.

    >>> [fewest_of(told, 10, least=8) for told in (10, 20, 30)]
    [8, 15, 25]

    Args:
        told: as `rounded_count` gives it.
        multiple: that it is rounded to.
        least: a count that is known not to be fallen below.
    """
    return least if told == multiple > 1 else told - multiple // 2
