"""Looking at paths that users name. What the system refuses to look at is an error in its own words, never absence."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from feda2v_cli.errors import FailedError, UsageError


def is_there(path: Path) -> bool:
    """Whether there is anything; a link counts for what it leads to.

    Raises:
        FailedError: the system does not say: no permission, a name that is too long, links in a circle.
    """
    return _mode(path) is not None


def is_named(path: Path) -> bool:
    """Whether there is anything of this name, be it a link that leads nowhere; errors as for `is_there`."""
    return _mode(path, os.lstat) is not None


def is_directory(path: Path) -> bool:
    """Whether there is a directory; errors as for `is_there`."""
    return stat.S_ISDIR(_mode(path) or 0)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; errors as for `is_there`."""
    return stat.S_ISREG(_mode(path) or 0)


def entries(directory: Path) -> list[Path]:
    """What a directory holds, sorted.

    Raises:
        FailedError: it cannot be listed.
    """
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        raise FailedError(f"{directory} cannot be listed — {error.strerror}", hint=f"ls -ld {directory}") from error


def expanded(path: Path, key: str) -> Path:
    """A path with the home directory in the place of `~` or `~user`.

    Args:
        path: a path of a profile.
        key: of the profile that holds it, for the hint.

    Raises:
        UsageError: there is no such home directory, as in containers.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        user = path.parts[0].removeprefix("~")
        whose = f"the user {user} is not known here" if user else "this user has no home directory"
        raise UsageError(f"{key} = {path} — {whose}", hint=f"--set {key}=DIR") from error


def _mode(path: Path, look: Callable[[Path], os.stat_result] = os.stat) -> int | None:
    try:
        return look(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise FailedError(f"{path} cannot be looked at — {words}") from error
