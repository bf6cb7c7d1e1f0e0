"""Opening a file of which nothing is known: it may be a directory, a FIFO, a loop of links, or forbidden."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.checkpoint.defect import Corrupt

#: Bytes that one read takes: large enough to run at full speed, small enough not to be noticed.
CHUNK_BYTES = 1 << 20

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class OpenFile:
    """A regular file that is open for reading.

    Attributes:
        descriptor: its file descriptor.
        size: its bytes when it was opened.
    """

    descriptor: int
    size: int

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`.

        Raises:
            Corrupt: the file does not reach so far, or cannot be read.
        """
        if offset < 0 or count < 0 or offset + count > self.size:
            raise Corrupt(f"truncated — {offset + count} bytes are needed and {self.size} are there")
        try:
            content = os.pread(self.descriptor, count, offset)
            while len(content) < count:
                more = os.pread(self.descriptor, count - len(content), offset + len(content))
                if not more:
                    raise Corrupt("the file became shorter while it was read")
                content += more
        except OSError as error:
            raise Corrupt(f"cannot be read — {error.strerror}") from error
        return content

    def chunks(self, offset: int, count: int) -> Iterator[memoryview]:
        """`count` bytes from `offset` in pieces of at most CHUNK_BYTES; a piece is good until the next is asked for.

        Raises:
            Corrupt: the file does not reach so far, or cannot be read.
        """
        if offset + count > self.size:
            raise Corrupt(f"truncated — {offset + count} bytes are needed and {self.size} are there")
        buffer = memoryview(bytearray(min(CHUNK_BYTES, count)))
        while count:
            piece = buffer[: min(len(buffer), count)]
            try:
                taken = os.preadv(self.descriptor, [piece], offset)
            except OSError as error:
                raise Corrupt(f"cannot be read — {error.strerror}") from error
            if not taken:
                raise Corrupt("the file became shorter while it was read")
            yield piece[:taken]
            offset += taken
            count -= taken


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """Open a regular file for reading, and nothing else: what is no regular file is never opened.

    Raises:
        Corrupt: there is no regular file that can be read.
    """
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        raise Corrupt("is a directory that cannot be listed — Permission denied")
    try:
        # Looked at first, because opening a FIFO or a device can have effects; and again, because it may be swapped.
        _require_regular(os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Corrupt(f"cannot be read — {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        _require_regular(status.st_mode)
        yield OpenFile(descriptor, status.st_size)
    finally:
        os.close(descriptor)


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise Corrupt(f"is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}, not a file")
