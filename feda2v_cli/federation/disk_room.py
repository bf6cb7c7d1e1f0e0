"""Room on the disk for tensors that memory should not hold, taken before it is needed."""

import os
from pathlib import Path

from feda2v_cli.errors import FailedError


def take_room(path: Path, size: int, what: str, hint: str) -> None:
    """Make a file at least so long; what it holds stays. Where the system cannot reserve, it is made as it is written.

    Args:
        path: the file.
        size: bytes.
        what: takes them, for the error.
        hint: what to do when the disk lacks room.

    Raises:
        FailedError: the file cannot be written, or the disk lacks room.
    """
    try:
        with path.open("ab") as file:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, size)
            elif file.tell() < size:
                file.truncate(size)
    except OSError as error:
        raise FailedError(f"{path} cannot be written — {error.strerror}", [what], hint=hint) from error
