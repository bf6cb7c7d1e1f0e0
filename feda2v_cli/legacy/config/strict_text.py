"""From JSON as people write it to strict JSON of the same length, so that every position stays right."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r'(?P<string>"(?:\\.|[^"\\\n])*"?)'
    r"|(?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)"
    r"|(?P<open>/\*)"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Comment:
    """A comment of a JSON text.

    Attributes:
        text: what it says.
        offset: where it begins.
    """

    text: str
    offset: int


@dataclass(frozen=True)
class StrictText:
    """A JSON text without what strict JSON forbids.

    Attributes:
        text: as long as the text that was read; comments and trailing commas are blanks.
        comments: what was blanked.
        unclosed: where a comment begins that never ends; None when every comment ends.
    """

    text: str
    comments: tuple[Comment, ...]
    unclosed: int | None


def strict_text(text: str) -> StrictText:
    """Blank `//`, `#` and `/* */` comments and the comma before a closing bracket.

    >>> strict_text("[1, 2,] // two").text
    '[1, 2 ]       '
    """
    pieces: list[str] = []
    comments: list[Comment] = []
    unclosed: int | None = None
    last, before_last = -1, -1  # pieces that are neither blank nor comment
    for match in _TOKEN.finditer(text):
        kind, piece = match.lastgroup, match.group()
        if kind == "comment":
            comments.append(Comment(_words(piece), match.start()))
            piece = re.sub(r"[^\n]", " ", piece)
        elif kind == "open":
            unclosed = match.start()
            break
        elif kind != "space":
            follows_value = before_last >= 0 and pieces[before_last] not in ("[", "{", ",", ":")
            if piece in ("]", "}") and last >= 0 and pieces[last] == "," and follows_value:
                pieces[last] = " "
            before_last, last = last, len(pieces)
        pieces.append(piece)
    return StrictText("".join(pieces), tuple(comments), unclosed)


def _words(comment: str) -> str:
    if comment.startswith("/*"):
        lines = (line.strip().lstrip("*").strip() for line in comment[2:-2].splitlines())
        return "\n".join(line for line in lines if line)
    return comment.lstrip("/#").strip()
