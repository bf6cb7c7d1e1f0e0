"""Writing a file so that a reader sees the old one or the new one, and never a part."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY_SUFFIX = ".tmp"
_RANDOM_BYTES = 4


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write and read; at the end it takes the place of `path`, and whatever goes wrong, it is gone.

    Args:
        path: the file; its directory is there.
        durable: whether the content is synced before it gets its name, and the directory after, so that a power cut
            too leaves the old file or the new. What can be made again needs no syncing.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(_RANDOM_BYTES)}{_TEMPORARY_SUFFIX}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w+b", buffering=1 << 20) as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_directory(path.parent)


def is_leftover(filename: str) -> bool:
    """Whether a name is that of a temporary file, which only a killed process leaves."""
    parts = filename.rsplit(".", 2)
    return filename.startswith(".") and len(parts) == 3 and parts[0].endswith(".pt") and parts[2] == "tmp"


def remove_leftovers(files: Iterable[Path]) -> None:
    """Remove the temporary files that a killed process has left of some files. Nobody else may be writing them.

    Raises:
        OSError: one cannot be removed.
    """
    by_directory: dict[Path, set[str]] = {}
    for path in files:
        by_directory.setdefault(path.parent, set()).add(path.name)
    for directory, names in by_directory.items():
        for path in directory.iterdir():
            if is_leftover(path.name) and path.name.removeprefix(".").rsplit(".", 2)[0] in names:
                path.unlink()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Some network file systems cannot sync a directory, and say so.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
