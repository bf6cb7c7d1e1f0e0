"""Files of a run: the directory of its checkpoints, and the states from which it goes on when it was interrupted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.counted import counted
from feda2v_cli.errors import FailedError, OverwriteError

#: How many files of a long list a message names.
_SHOWN_FILES = 3

T = TypeVar("T")


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
        raise OverwriteError(
            f"{counted(len(there), word)} {'is' if len(there) == 1 else 'are'} there already",
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


def save_resume_state(path: Path, content: Mapping[str, Any], consequence: str) -> None:
    """Keep a state to go on from; an older one is replaced whole.

    Args:
        path: the file.
        content: plain values and tensors.
        consequence: what it means that the state cannot be kept, in a sentence.

    Raises:
        FailedError: it cannot be written.
    """
    with writing_resume_state(path, consequence), atomic_write(path) as file:
        torch.save(dict(content), file)


@contextmanager
def writing_resume_state(path: Path, consequence: str) -> Iterator[None]:
    """Say what it means when something that belongs to a state cannot be written.

    Args:
        path: the state's file.
        consequence: as for `save_resume_state`.

    Raises:
        FailedError: the block failed to write.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # PyTorch raises the latter when the disk is full
        raise FailedError(f"{path} cannot be written — {error}", [consequence], hint=f"df -h {path.parent}") from error


def take_up_resume_state(path: Path, take_up: Callable[[dict[str, Any]], T]) -> T:
    """Go on from a state that was kept.

    Args:
        path: the file.
        take_up: makes of its content what the caller goes on with; may fail in any way, for the content is data.

    Raises:
        FailedError: the file is damaged, or does not hold what `take_up` needs.
    """
    try:
        return take_up(torch.load(path, weights_only=True))
    except Exception as error:
        raise FailedError(
            f"{path} is damaged — {error}", ["the run cannot be resumed"], hint="start it anew: --force"
        ) from error
