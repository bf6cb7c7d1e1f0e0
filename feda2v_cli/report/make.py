"""Makes a report of runs: one file that can be mailed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError, OverwriteError
from feda2v_cli.paths import is_directory, is_file
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.page import HEAD, now, page
from feda2v_cli.run.find import find_runs

#: What a run that is asked for nothing else is written to.
DEFAULT_OUTPUT = Path("report.html")
ELSEWHERE = "--output PATH writes elsewhere"


@dataclass(frozen=True)
class Report:
    """A report that was made.

    Attributes:
        path: the file.
        bytes: of it.
        runs: what is in it, each with the path of its directory, its state, and lines of its events that were damaged.
    """

    path: Path
    bytes: int
    runs: tuple[RunContent, ...]

    def to_dict(self) -> dict[str, Any]:
        """What the command prints under --json."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "runs": [
                {
                    "run_dir": str(run.record.path),
                    "kind": run.record.kind,
                    "state": run.record.state,
                    "result": run.result.sentence,
                    "damaged_lines": run.history.damaged,
                }
                for run in self.runs
            ],
        }


def make_report(
    names: Sequence[str] = (),
    *,
    output: Path | str = DEFAULT_OUTPUT,
    runs: Path | str = "runs",
    last: int | None = None,
    with_audio: bool = False,
    force: bool = False,
) -> Report:
    """Write a page of one run or several, which opens without a network.

    >>> make_report(last=2).path  # doctest: +SKIP
    PosixPath('report.html')

    Args:
        names: directories of runs, or names in `runs`; without any, the newest run.
        output: the file; a report that is there is replaced.
        runs: directory of all runs.
        last: so many of the newest runs too.
        with_audio: put clips of pictures into the page, and their spectrograms, from which they can be told.
        force: replace a file that is no report.

    Raises:
        MissingError: there is no such run.
        UsageError: a name is the beginning of several.
        OverwriteError: another file is there.
        FailedError: a run cannot be read, or the file cannot be written.
    """
    output = Path(output)
    records = find_runs(names, Path(runs), last)
    if is_directory(output):
        raise FailedError(f"{output} is a directory — expected a file", hint=ELSEWHERE)
    if not force and is_file(output) and not _is_report(output):
        raise OverwriteError(f"{output} is there and is no report", hint=f"--force overwrites, {ELSEWHERE}")
    contents = tuple(RunContent.of(record, with_audio=with_audio) for record in records)
    text = page(contents, now()).encode()
    with _writing(output), atomic_write(output, durable=False) as file:
        file.write(text)
    return Report(output, len(text), contents)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FailedError(f"{path} cannot be written — {error.strerror or error}", hint=ELSEWHERE) from error


def _is_report(path: Path) -> bool:
    """Whether a file is a page of ours."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEAD)) == HEAD.encode()
    except OSError:
        return False
