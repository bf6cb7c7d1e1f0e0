import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feda2v_cli.errors import FailedError, RunInterrupted
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import CheckpointSaved, EpochEnded, Event, Noted, ignore_event


def created(runs: Path, key: str = "key") -> RunDirectory:
    return RunDirectory.create(
        runs, "name", command=["feda2v", "train-generators"], key=key, profile="# given", resolved="# resolved"
    )


def events(run: RunDirectory) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def test_a_new_run_tells_its_command_versions_and_profile(tmp_path: Path) -> None:
    run = created(tmp_path / "runs")
    content = json.loads((run.path / "run.json").read_text())
    assert content["status"] == "running"
    assert content["command"] == ["feda2v", "train-generators"]
    assert {"feda2v", "python", "torch", "numpy"} <= content["versions"].keys()
    assert (run.path / "profile.toml").read_text() == "# given"
    assert run.path.name.endswith("-name")


def test_runs_of_the_same_second_have_directories_of_their_own(tmp_path: Path) -> None:
    assert len({created(tmp_path).path for _ in range(3)}) == 3


def test_the_latest_run_is_the_newest_with_the_key(tmp_path: Path) -> None:
    created(tmp_path, "mine")
    newest = created(tmp_path, "mine")
    created(tmp_path, "another")
    latest = RunDirectory.latest(tmp_path, "mine")
    assert latest is not None
    assert latest.path == newest.path
    assert RunDirectory.latest(tmp_path, "nobody's") is None


def test_a_directory_that_is_no_run_is_passed_over(tmp_path: Path) -> None:
    mine = created(tmp_path, "mine")
    (tmp_path / "zzz").mkdir()
    (tmp_path / "zzz" / "run.json").write_text("{")
    latest = RunDirectory.latest(tmp_path, "mine")
    assert latest is not None
    assert latest.path == mine.path


def test_an_event_is_one_line_with_its_time_and_passing_progress_is_none(tmp_path: Path) -> None:
    run = created(tmp_path)
    run.record(CheckpointSaved("a.pt", 10))
    run.record(EpochEnded(1, 1, 5, 10))
    (line,) = events(run)
    assert {"event": "checkpoint_saved", "path": "a.pt", "bytes": 10}.items() <= line.items()
    assert "time" in line


def test_notes_stand_in_the_log_too(tmp_path: Path) -> None:
    run = created(tmp_path)
    run.record(Noted("something good to know"))
    assert (run.path / "log.txt").read_text().endswith("noted something good to know\n")


def test_what_happens_within_is_kept_and_told(tmp_path: Path) -> None:
    run = created(tmp_path)
    heard: list[Event] = []
    with run.recording(["train-generators"], heard.append) as emit:
        emit(Noted("hello"))
    assert heard == [Noted("hello")]
    assert events(run)[0]["text"] == "hello"


def test_an_interrupted_run_says_the_command_that_goes_on(tmp_path: Path) -> None:
    run = created(tmp_path)
    words = ["train-generators", "--data-root", "my sounds", "--force"]
    with pytest.raises(RunInterrupted) as error, run.recording(words, ignore_event):
        raise KeyboardInterrupt
    assert error.value.hint == "feda2v train-generators --data-root 'my sounds' --resume"
    assert run.status == "interrupted"


def test_a_run_that_fails_says_so_and_the_error_goes_on(tmp_path: Path) -> None:
    run = created(tmp_path)
    with pytest.raises(FailedError, match="no luck"), run.recording([], ignore_event):
        raise FailedError("no luck")
    assert run.status == "failed"
    assert events(run)[-1]["text"] == "failed: no luck"


def test_a_run_that_fails_keeps_what_went_wrong_and_what_to_do(tmp_path: Path) -> None:
    run = created(tmp_path)
    with pytest.raises(FailedError), run.recording([], ignore_event):
        raise FailedError("no luck", ["not here"], hint="try there")
    told = json.loads((run.path / "run.json").read_text())["error"]
    assert told == {"code": "failed", "message": "no luck\n  not here", "hint": "try there"}


def test_a_run_tells_its_machine_and_the_memory_that_it_took(tmp_path: Path) -> None:
    run = created(tmp_path)
    run.finish("done", {})
    content = json.loads((run.path / "run.json").read_text())
    assert content["machine"]["processors"] > 0
    assert content["machine"]["memory_bytes"] > content["peak_memory_bytes"] > 2**20
    assert content["kind"] == "train-generators"
    assert content["error"] is None


def test_a_run_that_cannot_go_on_hints_at_the_same_command(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "name", command=["feda2v", "evaluate"], profile="", resolved="")
    with pytest.raises(RunInterrupted) as error, run.recording(["evaluate", "--seeds", "9"], ignore_event):
        raise KeyboardInterrupt
    assert (error.value.title, error.value.hint) == ("interrupted", "feda2v evaluate --seeds 9")


def test_a_run_whose_inner_run_was_interrupted_was_interrupted_too(tmp_path: Path) -> None:
    run = created(tmp_path)
    inner = RunInterrupted("interrupted", hint="feda2v federate --resume")
    with pytest.raises(RunInterrupted) as error, run.recording([], ignore_event):
        raise inner
    assert error.value is inner
    assert run.status == "interrupted"


def test_a_run_that_is_done_keeps_its_summary(tmp_path: Path) -> None:
    run = created(tmp_path)
    run.finish("done", {"accuracy": 0.9})
    assert run.status == "done"
    assert run.summary() == {"accuracy": 0.9}


def test_a_place_that_cannot_be_written_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FailedError) as error:
        created(tmp_path / "file" / "runs")
    assert error.value.hint == "write it elsewhere: --set experiment.runs=DIR"


def test_names_that_are_no_utf8_are_kept_escaped(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "name", command=["-p", "\udcff"], key="key", profile="#", resolved="# \udcff")
    run.record(Noted("\udcff"))
    run.finish("done", {"path": "\udcff"})
    assert json.loads((run.path / "run.json").read_text())["command"] == ["-p", "\udcff"]
    assert events(run)[0]["text"] == "\udcff"
    assert run.summary() == {"path": "\udcff"}
    assert (run.path / "resolved.toml").read_text() == "# \\udcff"


def git(directory: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        ["git", "-C", str(directory), *who, *words], check=True, capture_output=True, text=True
    ).stdout


def commit_told_by(checkout: Path, **environment: str) -> str | None:
    program = "from feda2v_cli.run.directory import _commit; print(_commit())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=checkout,
        env={"PYTHONPATH": str(checkout), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with the package in it, and another in a repository of its own."""
    package = Path(sys.modules["feda2v_cli"].__file__ or "").parent
    for name in ("site-packages", "checkout"):
        shutil.copytree(package, tmp_path / name / "feda2v_cli", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(package.parent / "profiles", tmp_path / name / "profiles")
    shutil.copy(package.parent / "pyproject.toml", tmp_path / "checkout")
    git(tmp_path / "checkout", "init", "-q")
    git(tmp_path / "checkout", "add", "pyproject.toml")
    git(tmp_path / "checkout", "commit", "-qm", "ours")
    return tmp_path


def test_the_commit_is_that_of_the_packages_own_repository(installed: Path) -> None:
    head = git(installed / "checkout", "rev-parse", "HEAD").strip()
    assert commit_told_by(installed / "checkout") == head


def test_the_users_repository_around_the_package_is_not_its_own(installed: Path) -> None:
    (installed / "pyproject.toml").write_text('[project]\nname = "feda2v-user"\n')
    git(installed, "init", "-q")
    git(installed, "add", "pyproject.toml")
    git(installed, "commit", "-qm", "the user's")
    assert commit_told_by(installed / "site-packages") == "None"
    # Installed into the top of the repository, as by `pip install --target .`.
    shutil.move(installed / "site-packages" / "feda2v_cli", installed / "feda2v_cli")
    shutil.move(installed / "site-packages" / "profiles", installed / "profiles")
    assert commit_told_by(installed) == "None"


def test_a_hook_of_the_users_repository_does_not_lend_its_commit(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    git(tmp_path / "user", "init", "-q")
    git(tmp_path / "user", "commit", "-q", "--allow-empty", "-m", "the user's")
    head = git(installed / "checkout", "rev-parse", "HEAD").strip()
    assert commit_told_by(installed / "checkout", GIT_DIR=str(tmp_path / "user" / ".git")) == head
