"""Text of unknown origin, like the name of a file or a field of a forged one, fit for a terminal and for JSON."""


def printable(text: str) -> str:
    r"""The same text with whatever a terminal would not show escaped.

    >>> printable("caf\u00e9\x1b[2J")
    'caf\u00e9\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
