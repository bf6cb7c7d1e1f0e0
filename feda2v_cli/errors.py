"""Every error that a user can cause, and the exit code it ends with.

    Feda2vError
    ├── FailedError        1    the operation failed
    ├── UsageError         2    wrong usage
    │   └── ProfileError   2    an invalid profile, every problem of it at once
    ├── MissingError       3    something needed is not there: data, weights, an extra
    ├── OverwriteError     4    refused, would overwrite
    └── RunInterrupted     130  stopped by Ctrl-C or SIGTERM, and can be resumed

Whatever is raised and is none of these is a bug of this program and ends with exit code 5.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Self


class Feda2vError(Exception):
    """An error with a title, details and the next command to type.

    Args:
        title: where and what is wrong, with the offending value, in one line.
        details: further lines: what is there, what was expected.
        hint: the next command to type.
    """

    exit_code: ClassVar[int] = 1
    code: str = "failed"

    def __init__(self, title: str, details: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(title)
        self.title = title
        self.details = tuple(details)
        self.hint = hint

    def __str__(self) -> str:
        return "\n  ".join((self.title, *self.details))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it says, and not as what it was made of, so that it can come from another process."""
        return Feda2vError._restored, (type(self), self.args), vars(self)

    @classmethod
    def _restored(cls, kind: type[Self], args: tuple[Any, ...]) -> Self:
        error = kind.__new__(kind)
        error.args = args
        return error


class FailedError(Feda2vError):
    """The operation failed."""


class UsageError(Feda2vError):
    """Wrong usage: an option, a value, a combination of them."""

    exit_code = 2
    code = "usage"


class ProfileError(UsageError):
    """An invalid profile; `details` holds one line for each problem."""

    code = "profile-invalid"


class MissingError(Feda2vError):
    """Something needed is not there: data, weights, an extra."""

    exit_code = 3
    code = "missing"


class OverwriteError(Feda2vError):
    """Refused, because files that are there would be overwritten."""

    exit_code = 4
    code = "would-overwrite"


class RunInterrupted(Feda2vError):  # noqa: N818 - an interruption is no error
    """Stopped by Ctrl-C or SIGTERM at a point from which the run can be resumed."""

    exit_code = 130
    code = "interrupted"


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type when it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def closest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that is most like `name`, or None when none is alike."""
    matches = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return matches[0] if matches else None
