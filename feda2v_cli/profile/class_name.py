"""Which names a class, a group and a file may have, and the valid name that is closest to another."""

import re
import unicodedata

CLASS_NAME_PATTERN = r"^[a-z0-9]+(_[a-z0-9]+)*$"
BASE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
#: A file name is made of a base name, a node, a class or group and a round, and may have 255 bytes.
LONGEST_NAME = 64


def as_class_name(text: str) -> str | None:
    """The class name that is closest to a text; None when nothing of it can stay.

    >>> as_class_name("Sea Waves")
    'sea_waves'
    """
    name = re.sub(r"[^a-z0-9]+", "_", _ascii(text).lower()).strip("_")
    return name[:LONGEST_NAME].rstrip("_") or None


def as_base_name(text: str) -> str | None:
    """The first part of a file name that is closest to a text; None when nothing of it can stay.

    >>> as_base_name("my run!")
    'my_run'
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", _ascii(text)).strip("_-")
    return name[:LONGEST_NAME] or None


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
