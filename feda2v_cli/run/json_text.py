"""JSON that can be written wherever it goes."""

import json
from typing import Any


def json_text(content: Any, *, indent: int | None = None, encoding: str = "utf-8") -> str:
    """JSON as readable as an encoding allows: with all letters, or where it lacks one with escapes alone.

    UTF-8 lacks those that stand for the bytes of a path that is no UTF-8.

    Args:
        content: plain values.
        indent: spaces a level; None is one line.
        encoding: of the stream or file that the text goes to.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent)
    return text
