"""stdout and stderr as they may be: closed, full, on a terminal that is gone, or of an encoding that lacks letters."""

import io
import os
import re
import sys
from contextlib import suppress

from feda2v_cli.errors import FailedError

#: What COLUMNS and LINES may be: less than 20 of either shows nothing.
_SIZE = re.compile(r"[2-9][0-9]|[1-9][0-9]{2,4}")


class _Forgiving(io.TextIOWrapper):
    """A stream whose loss nobody dies of: what cannot be written is dropped."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def prepare_streams() -> None:
    """Make the streams of this process such that only a result that is lost is an error.

    A letter that a stream's encoding lacks is escaped. What stderr does not take is lost. A stream that is closed gets
    a descriptor again, for otherwise the next file would get its number, and what is printed. A width or height of the
    terminal in which nothing can be shown is forgotten.
    """
    for name in ("COLUMNS", "LINES"):
        if not _SIZE.fullmatch(os.environ.get(name, "")):
            os.environ.pop(name, None)
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # the lowest number that is free; writing to a stdout that was closed must fail
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - open as long as the process is
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    taken = sys.stderr.buffer if sys.stderr else io.BufferedWriter(io.FileIO(2, "w", closefd=False))
    encoding = sys.stderr.encoding if sys.stderr else "utf-8"
    sys.stderr = _Forgiving(taken, encoding, "backslashreplace", line_buffering=True)


def lost_result(error: OSError) -> FailedError:
    """The error of a result that stdout did not take. What is left of it goes nowhere, so that Python's end is quiet.

    Args:
        error: of writing to stdout.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FailedError(f"the result cannot be written to stdout — {error.strerror}", hint="df -h .")
