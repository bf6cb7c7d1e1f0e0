"""Which file becomes which, and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError, MissingError, OverwriteError, UsageError
from feda2v_cli.paths import is_directory, is_file, is_there


@dataclass(frozen=True)
class Job:
    """A file to convert.

    Attributes:
        source: the configuration.
        output: the profile; None is stdout.
    """

    source: Path
    output: Path | None


def plan(sources: Sequence[Path], output: Path | None, *, force: bool, into_directory: bool = False) -> list[Job]:
    """Which file becomes which.

    Args:
        sources: files, and directories whose .json files are meant, with those of their sub-directories.
        output: a file for one file, else a directory.
        force: whether files may be overwritten.
        into_directory: whether `output` is a directory although it is not there, like `new/`.

    Raises:
        MissingError: a source is not there, or a directory holds no .json file.
        FailedError: the system does not say what a path is.
        UsageError: several files without a directory to write to, or two that would become one.
        OverwriteError: an output is there already.
    """
    found = [pair for source in sources for pair in _files(source)]
    several = len(found) > 1 or any(is_directory(source) for source in sources)
    if output is None and several:
        raise UsageError(
            f"{len(found)} files cannot go to stdout — expected a directory for them",
            hint="feda2v convert-config … -o DIR",
        )
    if output is None:
        return [Job(found[0][0], None)]
    if is_file(output) and (several or into_directory):
        raise UsageError(f"-o {output} is a file — expected a directory for {len(found)} files")
    if several or into_directory or is_directory(output):
        jobs = [Job(source, output / relative.with_suffix(".toml")) for source, relative in found]
    else:
        jobs = [Job(found[0][0], output)]
    _check(jobs, force=force)
    return jobs


def save(text: str, path: Path) -> None:
    """Write a text so that the file is either whole or not there.

    Raises:
        FailedError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise FailedError(f"{path} cannot be written — {error.strerror}") from error


def _files(source: Path) -> list[tuple[Path, Path]]:
    """Every file that a source means, and its path below the output directory."""
    if not is_there(source):
        raise MissingError(
            f"{source} is not there", hint="feda2v convert-config takes JSON files and directories of them"
        )
    if not is_directory(source):
        return [(source, Path(source.name))]
    files = [(path, path.relative_to(source)) for path in sorted(source.rglob("*.json")) if path.is_file()]
    if not files:
        raise MissingError(
            f"{source} holds no .json file", hint="feda2v convert-config takes JSON files and directories"
        )
    return files


def _check(jobs: Sequence[Job], *, force: bool) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs:
        output = job.output or Path()
        first = taken.setdefault(output, job.source)
        if first != job.source:
            raise UsageError(f"{first} and {job.source} would both become {output}", hint="convert them one by one")
        if is_there(output) and output.samefile(job.source):
            raise UsageError(f"{output} is the configuration itself — expected another file", hint="-o new.toml")
    existing = [str(job.output) for job in jobs if job.output is not None and is_there(job.output)]
    if existing and not force:
        raise OverwriteError(
            f"{existing[0]} is there already" if len(existing) == 1 else f"{len(existing)} files are there already",
            existing if len(existing) > 1 else (),
            hint="--force overwrites",
        )
