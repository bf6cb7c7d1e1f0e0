"""Counts in words."""


def counted(count: int, words: str) -> str:
    """So many of something: `1 class`, `2 classes`, `3 wrong values`.

    Args:
        count: how many.
        words: what they are, in the singular; the last of them gets the plural.
    """
    return f"{count} {words}" if count == 1 else f"{count} {words}{'es' if words.endswith('s') else 's'}"
