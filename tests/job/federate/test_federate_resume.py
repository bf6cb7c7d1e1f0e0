"""Kills real processes of RUN 2, and resumes them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import SECONDS

from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
ROUNDS = 4


@pytest.fixture(scope="module")
def generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("generators")
    settings = ["generator.type=gaussian", "checkpoint.every=0", f"checkpoint.dir={directory}/made"]
    train_generators(load_profile("unified", settings=[*settings, f"experiment.runs={directory}/runs"]))
    return directory / "made"


def start(directory: Path, generators: Path, strategy: str, *options: str) -> "subprocess.Popen[str]":
    directory.mkdir(exist_ok=True)
    words = [
        *("federate", "--generators", str(generators), "--rounds", str(ROUNDS), "--local-epochs", "2"),
        *("--strategy", strategy, "--set", "federation.fraction=0.67", "--set", 'adapter.spaces=["clip"]'),
    ]
    return subprocess.Popen(
        [FEDA2V, *words, *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def finish(directory: Path, generators: Path, strategy: str, *options: str) -> dict[str, bytes]:
    """Bytes of the adapters, by name."""
    process = start(directory, generators, strategy, *options)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return adapters(directory)


def adapters(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "checkpoints/adapters").iterdir()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, generators: Path) -> Callable[[str], dict[str, bytes]]:
    known: dict[str, dict[str, bytes]] = {}

    def of(strategy: str) -> dict[str, bytes]:
        if strategy not in known:
            known[strategy] = finish(tmp_path_factory.mktemp(strategy), generators, strategy)
        return known[strategy]

    return of


def rounds_ended(count: int) -> Callable[[Path], bool]:
    def reached(directory: Path) -> bool:
        lines = [path.read_text() for path in directory.glob("runs/*/metrics.jsonl")]
        return "".join(lines).count("federation_round_ended") >= count

    return reached


MOMENTS = {
    "when_the_run_has_its_directory": lambda directory: any(directory.glob("runs/*/run.json")),
    "after_the_first_round": rounds_ended(1),
    "after_the_last_round": rounds_ended(ROUNDS),
    "amid_the_adapters": lambda directory: any(directory.glob("checkpoints/adapters/*.pt")),
}


@pytest.mark.parametrize(
    ("strategy", "moment"), [*(("fedadam", moment) for moment in MOMENTS), ("none", "after_the_first_round")]
)
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(
    tmp_path: Path, generators: Path, uninterrupted: Callable[[str], dict[str, bytes]], strategy: str, moment: str
) -> None:
    process = start(tmp_path, generators, strategy)
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and not MOMENTS[moment](tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert finish(tmp_path, generators, strategy, "--resume") == uninterrupted(strategy)


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, generators: Path) -> None:
    process = start(tmp_path, generators, "fedavg")
    while process.poll() is None and not rounds_ended(1)(tmp_path):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "--resume" in errors.splitlines()[-1]


def test_a_run_that_is_done_is_not_run_again(tmp_path: Path, generators: Path) -> None:
    finish(tmp_path, generators, "fedavg")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints/adapters").iterdir()}
    process = start(tmp_path, generators, "fedavg", "--resume")
    out, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    assert "is done already" in errors
    assert "accuracy" in out
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "checkpoints/adapters").iterdir()}
