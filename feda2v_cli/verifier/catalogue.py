"""Which checkpoints there are: whole trees, in an order that people expect."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.atomic_write import is_leftover
from feda2v_cli.checkpoint.metadata import AdapterMetadata, GeneratorMetadata
from feda2v_cli.checkpoint.name import SUFFIX, GeneratorName, parse_name
from feda2v_cli.legacy.checkpoint import LegacyCheckpoint
from feda2v_cli.verifier.inspection import inspect_header

#: Directories that systems make without being asked, and that are not hidden by a dot.
_OF_THE_SYSTEM = frozenset(
    {"__MACOSX", "@eaDir", "@Recycle", "#recycle", "#snapshot", "~snapshot", "lost+found", "$RECYCLE.BIN"}
    | {"System Volume Information", "__pycache__"}
)


@dataclass(frozen=True)
class Entry:
    """A file that looks like a checkpoint.

    Attributes:
        path: the file.
        name: what its name says; None when it is not the name of a generator's checkpoint.
        metadata: what it says when it holds a generator; None when that cannot be read.
        legacy: what it says when the earlier system wrote it.
        problem: why nothing can be read, or that the file is not called what its metadata demand.
        bytes: size of the file.
        adapter: what it says of itself when it holds adapters.
    """

    path: Path
    name: GeneratorName | None
    metadata: GeneratorMetadata | None
    legacy: LegacyCheckpoint | None
    problem: str | None
    bytes: int
    adapter: AdapterMetadata | None = None


def catalogue(paths: Iterable[Path]) -> list[Entry]:
    """Every checkpoint under some files and directories; tensors are neither read nor checked.

    Returns:
        Sorted by directory, base name, node, key and round as a number; the final checkpoint last.
    """
    return [_entry(path) for path in checkpoint_files(paths)]


def checkpoint_files(paths: Iterable[Path]) -> list[Path]:
    """The files that look like checkpoints, each once, sorted like `catalogue`."""
    found = {file: None for path in paths for file in files_under(path) if file == path or _is_meant(file)}
    return sorted(found, key=_order)


def generator_sets(root: Path) -> list[Path]:
    """Directories at or under `root` that hold checkpoints, sorted."""
    return sorted({file.parent for file in files_under(root) if file.suffix == SUFFIX or is_leftover(file.name)})


def is_of_the_system(name: str) -> bool:
    """Whether a file or directory is hidden or made by a system, and is not the temporary file of a checkpoint."""
    return name in _OF_THE_SYSTEM or (name.startswith(".") and not is_leftover(name))


def files_under(path: Path) -> Iterator[Path]:
    """Everything under a path that is no directory, and directories that are in place of a file or cannot be listed.

    What is hidden, and what systems make of their own accord (a trash can, snapshots, thumbnails), is left out; but not
    the temporary files of checkpoints.
    Links to directories are followed, each directory is entered once; a path that is no directory is itself.
    """
    if os.path.isdir(path):
        yield from _files_in(path, set())
    else:
        yield path


def _files_in(directory: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = os.stat(directory)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(directory) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError:
        yield directory
        return
    for entry in entries:
        if is_of_the_system(entry.name):
            continue
        path = directory / entry.name
        is_directory = os.path.isdir(path)
        if not is_directory or path.suffix == SUFFIX:
            yield path
        if is_directory:
            yield from _files_in(path, seen)


def _is_meant(file: Path) -> bool:
    """Whether a file is named like a checkpoint, or is a directory in which one could be."""
    return file.suffix == SUFFIX or os.path.isdir(file)


def _entry(path: Path) -> Entry:
    seen = inspect_header(path)
    problem = seen.defects[0].message if seen.defects else None
    return Entry(path, seen.name, seen.metadata, seen.legacy, problem, seen.bytes, seen.adapter)


def _order(path: Path) -> tuple[object, ...]:
    name = parse_name(path.name)
    if name is None:
        return str(path.parent), path.name, -1, "", 0, path.name
    end = float("inf") if name.round is None else name.round
    return str(path.parent), name.base_name, name.node, name.key or "", end, path.name
