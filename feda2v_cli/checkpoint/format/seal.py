"""The seal of a checkpoint: a SHA-256 of every byte of the file before it, kept in the archive's comment.

One pass over the file at the speed of `sha256sum` finds a bit that flipped anywhere: in a tensor, the pickle, the
metadata, a header, the directory.
"""

import hashlib
import re

from feda2v_cli.checkpoint.format.archive import Archive
from feda2v_cli.checkpoint.format.opening import OpenFile

_PREFIX = b"feda2v seal, SHA-256 of all before: "
_SEAL = re.compile(re.escape(_PREFIX) + rb"[0-9a-f]{64}")
SEAL_BYTES = len(_PREFIX) + 64


def seal(digest: str) -> bytes:
    """The comment that seals an archive.

    Args:
        digest: SHA-256 of all bytes before the comment, in hexadecimal; or nothing, for a comment of the same length.
    """
    return _PREFIX + digest.encode().rjust(64, b"0")


def is_sealed(archive: Archive) -> bool:
    """Whether the archive carries a seal, broken or not."""
    return _SEAL.fullmatch(archive.comment) is not None


def is_intact(archive: Archive) -> bool:
    """Whether every byte is as it was when the archive was sealed. Reads the whole file."""
    return archive.comment == seal(digest(archive.file, 0, archive.file.size - len(archive.comment)))


def digest(file: OpenFile, offset: int, count: int) -> str:
    """SHA-256 of `count` bytes from `offset`, in hexadecimal; in constant memory."""
    running = hashlib.sha256()
    for piece in file.chunks(offset, count):
        running.update(piece)
    return running.hexdigest()
