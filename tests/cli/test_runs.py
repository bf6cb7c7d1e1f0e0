import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from patience import SECONDS
from run_samples import compared, federated, killed, trained


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    made = [make(tmp_path / "runs") for make in (trained, federated, killed)]
    return [run.path for run in made]


@pytest.mark.usefixtures("runs")
def test_ls_lists_runs_in_order_with_state_result_and_size(feda2v) -> None:
    lines = feda2v("runs", "ls", COLUMNS="160").stdout.splitlines()
    assert lines[0].split("  ")[0] == "UTC time and name"
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["train-generators", "done"],
        ["federate", "done"],
        ["federate", "killed"],
    ]
    assert "2 per_group generators, loss 41.000" in lines[1]
    assert "accuracy 0.900" in lines[2]
    assert "round 4 of 8" in lines[3]
    assert lines[3].split()[-1] == "kB"


def test_ls_cuts_nothing_off_at_80_columns(feda2v, runs: list[Path]) -> None:
    listed = feda2v("runs", "ls", COLUMNS="80").stdout
    assert all(path.name in listed for path in runs)
    assert "train-generators" in listed
    assert "…" not in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_ls_has_a_json_form(feda2v, runs: list[Path]) -> None:
    data = json.loads(feda2v("runs", "ls", "--json").stdout)["data"]
    assert [run["name"] for run in data["runs"]] == [path.name for path in runs]
    assert all(run["bytes"] > 1000 for run in data["runs"])


def test_ls_without_runs_says_so(feda2v) -> None:
    completed = feda2v("runs", "ls")
    assert (completed.returncode, completed.stdout) == (0, "no runs in runs/\n")


def test_show_tells_command_result_settings_and_findings(feda2v, runs: list[Path]) -> None:
    shown = feda2v("runs", "show", runs[1].name).stdout
    assert "feda2v federate --baselines" in shown
    assert "Accuracy is 0.900" in shown
    assert "generator.granularity" in shown
    assert "warning: checkpoints/a.pt was trained on other clips (FA016)\n  feda2v evaluate checkpoints" in shown
    assert "skipped 1 damaged line of metrics.jsonl" in feda2v("runs", "show", runs[2].name).stdout


def test_show_lists_the_runs_within_a_run(feda2v, tmp_path: Path) -> None:
    run = compared(tmp_path / "runs")
    shown = feda2v("runs", "show", run.path.name).stdout
    assert shown.count("within it: runs/") == 6


def test_rm_does_not_ask_a_script_and_removes_nothing(feda2v, runs: list[Path]) -> None:
    completed = feda2v("runs", "rm", runs[0].name)
    assert completed.returncode == 2
    assert completed.stderr.endswith(f"hint: feda2v runs rm {runs[0].name} --yes\n")
    assert runs[0].exists()


def test_rm_removes_what_is_named_and_nothing_else(feda2v, runs: list[Path]) -> None:
    completed = feda2v("runs", "rm", runs[0].name, str(runs[2]), "--yes")
    assert completed.returncode == 0
    assert completed.stdout.startswith("removed 2 runs, ")
    assert [path.exists() for path in runs] == [False, True, False]


def test_rm_of_what_is_no_run_touches_nothing(feda2v, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    completed = feda2v("runs", "rm", "precious", "--yes")
    assert completed.returncode == 3
    assert "is no run" in completed.stderr
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize(("answer", "is_removed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_rm_asks_who_sits_at_a_terminal(tmp_path: Path, runs: list[Path], answer: str, is_removed: bool) -> None:
    master, terminal = pty.openpty()
    os.write(master, answer.encode())
    done = subprocess.run(
        [Path(sys.executable).with_name("feda2v"), "runs", "rm", runs[0].name],
        cwd=tmp_path,
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    os.close(terminal)
    os.close(master)
    assert done.returncode == 0
    assert "remove 1 run? [y/N]" in done.stderr
    assert runs[0].exists() != is_removed
    assert done.stdout.startswith("removed 1 run" if is_removed else "nothing was removed")
