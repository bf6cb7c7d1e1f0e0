import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import SECONDS

QUICK = (
    "--set", 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]',
    "--set", 'generator.groups={animals=["dog", "crickets"], others=["rain", "siren"]}',
    "--set", "generator.type=gaussian",
    "--set", "federation.local_epochs=1",
    "--rounds", "1",
    "--no-picture",
)  # fmt: skip


def test_the_envelope_holds_a_row_a_granularity_and_what_was_written(feda2v, tmp_path: Path) -> None:
    completed = feda2v("compare", *QUICK, "--json")
    assert completed.returncode == 0, completed.stderr
    data = json.loads(completed.stdout)["data"]
    assert [row["granularity"] for row in data["table"]] == ["unified", "per_class", "per_group"]
    assert data["files"] == ["comparison/comparison.md", "comparison/comparison.json"]
    assert all((tmp_path / name).is_file() for name in data["files"])
    assert "per_group: federating" in completed.stderr
    refused = feda2v("compare", *QUICK)
    assert refused.returncode == 4
    assert "hint: --force overwrites" in refused.stderr


def test_ctrl_c_ends_every_process_of_a_comparison(tmp_path: Path) -> None:
    executable = Path(sys.executable).with_name("feda2v")
    words = ["compare", *QUICK, "--rounds", "5000"]
    with subprocess.Popen(
        [executable, *words],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while not list(tmp_path.glob("runs/*-compare/runs/*/metrics.jsonl")):
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1)  # within a federation
        others = _descendants(process.pid)
        assert len(others) >= 2
        process.send_signal(2)  # to this one alone: it ends the others
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.endswith("hint: feda2v compare --force\n")
    deadline = time.monotonic() + SECONDS
    while any(Path(f"/proc/{other}").exists() for other in others):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    statuses = {json.loads(run.read_text())["status"] for run in tmp_path.glob("runs/*-compare/runs/*/run.json")}
    assert "interrupted" in statuses
    assert "running" not in statuses


def _descendants(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    if not listed.exists():
        pytest.skip("the system does not list a process's children")
    children = [int(word) for word in listed.read_text().split()]
    return children + [deeper for child in children for deeper in _descendants(child)]
