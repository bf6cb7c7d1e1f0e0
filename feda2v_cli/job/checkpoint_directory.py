"""The directory that a run writes checkpoints into: made when it is not there, and never overwritten unasked."""

from collections.abc import Sequence
from pathlib import Path

from feda2v_cli.errors import FailedError, OverwriteError

#: How many files of a long list a message names.
_SHOWN_FILES = 3


def refuse_to_overwrite(there: Sequence[Path], word: str) -> None:
    """Refuse when checkpoints are there already.

    Args:
        there: the checkpoints that are there.
        word: what they are, in the singular.

    Raises:
        OverwriteError: there is at least one.
    """
    if there:
        shown = [str(path) for path in there[:_SHOWN_FILES]]
        more = [f"… and {len(there) - _SHOWN_FILES} more"] if len(there) > _SHOWN_FILES else []
        count = f"1 {word} is" if len(there) == 1 else f"{len(there)} {word}s are"
        raise OverwriteError(
            f"{count} there already",
            shown + more,
            hint="--resume goes on with an interrupted run, --force overwrites, --checkpoint-dir DIR writes elsewhere",
        )


def make_directory(directory: Path) -> None:
    """Make a directory for checkpoints, unless it is there.

    Raises:
        FailedError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedError(
            f"{directory} cannot be made — {error.strerror}", hint="write elsewhere: --checkpoint-dir DIR"
        ) from error
