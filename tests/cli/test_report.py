import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from run_samples import evaluated, federated, killed, trained


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    trained(tmp_path / "runs")
    federated(tmp_path / "runs")
    return tmp_path / "runs"


@pytest.mark.usefixtures("runs")
def test_the_newest_run_becomes_a_page(feda2v, tmp_path: Path) -> None:
    completed = feda2v("report")
    assert (completed.returncode, completed.stderr) == (0, "")
    size = (tmp_path / "report.html").stat().st_size
    assert completed.stdout == f"report.html: 1 run, {size / 1000:.1f} kB\n"
    assert "use_pretrained" in (tmp_path / "report.html").read_text()


def test_runs_are_named_counted_and_mixed(feda2v, runs: Path, tmp_path: Path) -> None:
    other = evaluated(tmp_path / "elsewhere")
    first = min(path.name for path in runs.iterdir())
    completed = feda2v("report", "--last", "1", str(other.path), first, "-o", "page.html", "--json")
    data = json.loads(completed.stdout)["data"]
    assert data["path"] == "page.html"
    assert [run["kind"] for run in data["runs"]] == ["federate", "evaluate", "train-generators"]
    assert {run["state"] for run in data["runs"]} == {"done"}
    assert data["bytes"] == (tmp_path / "page.html").stat().st_size


@pytest.mark.usefixtures("runs")
def test_a_report_is_made_again_and_another_file_is_not_overwritten(feda2v, tmp_path: Path) -> None:
    assert feda2v("report").returncode == 0
    assert feda2v("report").returncode == 0
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><p>mine")
    refused = feda2v("report", "-o", "mine.html")
    assert refused.returncode == 4
    assert refused.stderr.splitlines() == [
        "error: mine.html is there and is no report",
        "hint: --force overwrites, --output PATH writes elsewhere",
    ]
    assert mine.read_text() == "<!doctype html><p>mine"
    assert feda2v("report", "-o", "mine.html", "--force").returncode == 0


@pytest.mark.usefixtures("runs")
def test_a_pipe_is_written_and_not_read(feda2v) -> None:
    completed = feda2v("report", "-o", "/dev/stdout", "-q")
    assert completed.returncode == 0
    assert completed.stdout.startswith("<!doctype html>")
    assert "</body>\n</html>/dev/stdout: 1 run, " in completed.stdout


def test_a_run_that_was_killed_is_warned_of(feda2v, tmp_path: Path) -> None:
    killed(tmp_path / "runs")
    completed = feda2v("report")
    assert completed.returncode == 0
    assert "The run was killed after round 4 of 8: this is what there is." in completed.stderr
    assert "skipped 1 damaged line of metrics.jsonl" in completed.stderr


def test_without_runs_the_way_to_one_is_told(feda2v) -> None:
    completed = feda2v("report")
    assert completed.returncode == 3
    assert completed.stderr.startswith("error: no run in runs/")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("place", ["nowhere/report.html", "."])
def test_a_place_that_cannot_be_written_is_an_error_with_the_way_out(feda2v, place: str) -> None:
    completed = feda2v("report", "--force", "-o", place)
    assert completed.returncode == 1
    assert completed.stderr.splitlines()[-1] == "hint: --output PATH writes elsewhere"


def test_the_environment_says_where_runs_are(feda2v, runs: Path, tmp_path: Path) -> None:
    runs.rename(tmp_path / "elsewhere")
    assert feda2v("report", FEDA2V_EXPERIMENT_RUNS="elsewhere").returncode == 0
    assert feda2v("report", "--runs", "elsewhere").returncode == 0


@pytest.mark.usefixtures("runs")
def test_it_opens_in_the_browser_that_the_user_has(feda2v, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IEXEC)
    assert feda2v("report", "--open", BROWSER=f"{browser} %s").returncode == 0
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / "report.html").as_uri()


@pytest.mark.usefixtures("runs")
def test_it_takes_less_than_two_seconds_of_work(tmp_path: Path) -> None:
    """Measured as the processor's time, which other work on the machine does not change."""
    before = os.times()
    subprocess.run([Path(sys.executable).with_name("feda2v"), "report"], cwd=tmp_path, check=True, capture_output=True)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 2
