"""Writing a file so that a reader sees the old one or the new one, and never a part.

A name that is a link stays one: what it leads to is replaced. A device, a FIFO, a socket or a file that is open already
(/dev/stdout) is written through, once all of the content is there. A file that is read-only stays as it is.
"""

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY_SUFFIX = ".tmp"
_RANDOM_BYTES = 4
#: As many links as Linux follows.
_MOST_LINKS = 40
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write and read; at the end it takes the place of `path`, and whatever goes wrong, it is gone.

    Args:
        path: the file; its directory is there.
        durable: whether the content is synced before it gets its name, and the directory after, so that a power cut
            too leaves the old file or the new. What can be made again needs no syncing.

    Raises:
        OSError: the file cannot be written, or is read-only.
    """
    target, status = _target(path)
    if status is None:
        with _replacing(target, durable=durable) as file:
            yield file
    elif stat.S_ISREG(status.st_mode) and not target.is_symlink():
        if not status.st_mode & _WRITABLE or not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "the file is read-only", str(path))
        with _replacing(target, durable=durable) as file:
            _keep_mode(file, stat.S_IMODE(status.st_mode))
            yield file
    else:
        with _through(path) as file:
            yield file


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    """What a path leads to, and its status; None when nothing is there yet."""
    for _ in range(_MOST_LINKS):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return path, None
        if not stat.S_ISLNK(status.st_mode):
            return path, status
        reached = os.stat(path) if os.path.exists(path) else None
        if reached is not None and not stat.S_ISREG(reached.st_mode):
            return path, reached  # what /dev/stdout leads to may have no name of its own
        if reached is not None and path.parent.resolve().is_relative_to("/proc"):
            return path, reached  # a file that is open already, to which /dev/stdout leads
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _keep_mode(file: BinaryIO, mode: int) -> None:
    # Some file systems have one mode for all files, and refuse to set even that.
    if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
        os.fchmod(file.fileno(), mode)


@contextmanager
def _through(path: Path) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        with open(path, "wb", buffering=0) as device:
            shutil.copyfileobj(file, device)


@contextmanager
def _replacing(path: Path, *, durable: bool) -> Iterator[BinaryIO]:
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
