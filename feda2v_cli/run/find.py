"""Which runs are meant: directories, names, or the last few."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from feda2v_cli.errors import FailedError, MissingError, UsageError, closest
from feda2v_cli.paths import is_directory, is_file
from feda2v_cli.run.record import RunRecord, runs_in


def find_runs(names: Sequence[str], runs: Path, last: int | None = None) -> list[RunRecord]:
    """The runs that are meant, each once, in the order in which they are named.

    Args:
        names: directories, or names of runs in `runs` or the beginning of one; none of them means the newest run.
        runs: directory of all runs.
        last: so many of the newest, the oldest of them first, before those that are named.

    Raises:
        MissingError: there is no such run, or none at all.
        UsageError: a name is the beginning of several.
    """
    found = [find_run(name, runs) for name in names]
    if last is not None or not names:
        newest = runs_in(runs)[-(last or 1) :]
        if not newest:
            raise MissingError(
                f"no run in {runs}/", hint="feda2v train-generators, or --runs DIR where the runs are elsewhere"
            )
        found = newest + found
    return list({record.path.resolve(): record for record in found}.values())


def find_run(name: str, runs: Path) -> RunRecord:
    """The run that a directory, a name or the beginning of a name means; a directory wins.

    Raises:
        MissingError: there is no such run.
        UsageError: the name is the beginning of several.
    """
    for path in (Path(name), runs / name):
        if is_file(path / "run.json"):
            return RunRecord.read(path)
    known = [record.name for record in runs_in(runs)]
    matches = [known_name for known_name in known if known_name.startswith(name)]
    if len(matches) > 1:
        raise UsageError(f"{name} is the beginning of {len(matches)} runs", matches[:10], hint="feda2v runs ls")
    if not matches:
        if is_directory(Path(name)):
            return RunRecord.read(Path(name))  # which says that it is no run
        near = closest(name, known)
        raise MissingError(
            f"no run {name}: neither a directory nor a run in {runs}/",
            [f"did you mean {near}?"] if near else [],
            hint="feda2v runs ls",
        )
    return RunRecord.read(runs / matches[0])


def remove_run(record: RunRecord) -> None:
    """Remove a run's directory, with what it takes to go on. Checkpoints lie elsewhere and stay.

    Raises:
        UsageError: it is running.
        FailedError: it cannot be removed.
    """
    if record.state == "running":
        raise UsageError(f"{record.path} is running", hint="stop it with Ctrl-C first")
    try:
        shutil.rmtree(record.path)
    except OSError as error:
        raise FailedError(f"{record.path} cannot be removed — {error.strerror or error}") from error
