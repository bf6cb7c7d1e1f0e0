"""One writer a node: two runs that would write the same node's checkpoints into one directory exclude each other."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from feda2v_cli.errors import FailedError, OverwriteError


class LockedError(OverwriteError):
    """Another run is writing checkpoints of the same node."""

    code = "locked"


@contextmanager
def lock_nodes(directory: Path, base_name: str, nodes: Iterable[int]) -> Iterator[None]:
    """Hold the checkpoints of some nodes for this process alone; other nodes stay free.

    The operating system frees the locks of a process that ends, however it ends, so a lock file that a killed process
    left blocks nobody. The directory is made when it is not there.

    Raises:
        LockedError: another run holds one of the nodes.
        FailedError: the directory cannot be written.
    """
    with ExitStack() as held:
        for node in sorted(set(nodes)):
            path = directory / f".{base_name}_node{node}.lock"
            try:
                lock = FileLock(path, timeout=0)
                lock.acquire()
            except Timeout:
                raise LockedError(
                    f"another run is writing the checkpoints of node {node} in {directory}",
                    [
                        f"it holds {path}; if it ran on another machine that is gone, remove this file",
                        "two runs may write into one directory when they train different nodes",
                    ],
                    hint="wait for it to end, or write elsewhere: --checkpoint-dir DIR",
                ) from None
            except OSError as error:
                raise FailedError(
                    f"{directory} cannot be written — {error.strerror}", hint=f"ls -ld {directory}"
                ) from error
            held.callback(_release, lock, path)
        yield


def _release(lock: FileLock, path: Path) -> None:
    # Removed while it is held: whoever opened it meanwhile sees that the name is gone, and tries again.
    with suppress(OSError):
        path.unlink()
    lock.release()
