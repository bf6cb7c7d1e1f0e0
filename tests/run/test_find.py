from pathlib import Path

import pytest

from feda2v_cli.errors import FailedError, MissingError, UsageError
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import ignore_event
from feda2v_cli.run.find import find_run, find_runs, remove_run
from feda2v_cli.run.record import RunRecord


def created(runs: Path, name: str) -> Path:
    run = RunDirectory.create(runs, name, command=["feda2v", "federate"], profile="", resolved="")
    run.finish("done")
    return run.path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [created(tmp_path / "runs", name) for name in ("one", "two", "three")]


def test_without_a_name_it_is_the_newest_run(paths: list[Path], tmp_path: Path) -> None:
    assert [record.path for record in find_runs([], tmp_path / "runs")] == paths[-1:]


def test_the_last_few_are_in_order_and_each_run_is_there_once(paths: list[Path], tmp_path: Path) -> None:
    found = find_runs([str(paths[0]), paths[2].name, paths[0].name], tmp_path / "runs", last=2)
    assert [record.path for record in found] == [paths[1], paths[2], paths[0]]


def test_a_run_is_meant_by_directory_name_or_the_beginning_of_its_name(paths: list[Path], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert find_run(str(paths[0]), runs).path == paths[0]
    assert find_run(paths[1].name, runs).path == paths[1]
    assert find_run(paths[2].name[:-2], runs).path == paths[2]


def test_a_beginning_of_several_is_refused_and_they_are_listed(paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        find_run("20", tmp_path / "runs")
    assert set(error.value.details) == {path.name for path in paths}


def test_a_name_that_is_nearly_one_is_answered_with_it(paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(MissingError) as error:
        find_run(paths[2].name.replace("three", "threw"), tmp_path / "runs")
    assert error.value.details == (f"did you mean {paths[2].name}?",)


def test_no_runs_at_all_are_said_with_the_way_to_one(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as error:
        find_runs([], tmp_path / "runs")
    assert "feda2v train-generators" in (error.value.hint or "")


def test_a_name_that_no_system_takes_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises((FailedError, MissingError)):
        find_run("x" * 5000, tmp_path / "runs")


def test_a_run_is_removed_with_all_that_it_holds(paths: list[Path]) -> None:
    remove_run(RunRecord.read(paths[0]))
    assert [path.exists() for path in paths] == [False, True, True]


def test_a_run_that_is_running_stays(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "n", command=["feda2v", "federate"], profile="", resolved="")
    with run.recording([], ignore_event), pytest.raises(UsageError, match="is running"):
        remove_run(RunRecord.read(run.path))
    assert run.path.exists()
