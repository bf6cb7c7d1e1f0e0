"""Kills real processes, and resumes them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from patience import SECONDS

FEDA2V = str(Path(sys.executable).with_name("feda2v"))

COMMAND = (
    *("train-generators", "-g", "per_class", "--nodes", "0,1", "--rounds", "4", "--epochs", "30"),
    *("--set", "checkpoint.every=1"),
)


def start(directory: Path, *options: str) -> "subprocess.Popen[str]":
    directory.mkdir(exist_ok=True)
    return subprocess.Popen(
        [FEDA2V, *COMMAND, *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def finish(directory: Path, *options: str) -> str:
    process = start(directory, *options)
    out, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return out


def tensors(directory: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {
        path.name: torch.load(path, weights_only=True)["generator_state_dict"]
        for path in sorted((directory / "checkpoints/generators_per_class").glob("*.pt"))
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, torch.Tensor]]:
    directory = tmp_path_factory.mktemp("uninterrupted")
    finish(directory)
    return tensors(directory)


def run_exists(directory: Path) -> bool:
    return any(directory.glob("runs/*/run.json"))


def rounds_ended(count: int) -> Callable[[Path], bool]:
    def reached(directory: Path) -> bool:
        lines = [path.read_text() for path in directory.glob("runs/*/metrics.jsonl")]
        return "".join(lines).count("round_ended") >= count

    return reached


def checkpoints_written(count: int) -> Callable[[Path], bool]:
    return lambda directory: len(list(directory.glob("checkpoints/*/*.pt"))) >= count


MOMENTS = {
    "at_once": lambda _: True,
    "when_the_run_has_its_directory": run_exists,
    "amid_the_checkpoints_of_a_round": checkpoints_written(4),
    "after_the_first_round": rounds_ended(1),
    "amid_the_last_checkpoints": checkpoints_written(43),
    "after_the_last_round": rounds_ended(4),
}


def killed(process: "subprocess.Popen[str]", directory: Path, moment: Callable[[Path], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and not moment(directory):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_run_killed_at_any_moment_resumes_to_the_same_bytes(
    tmp_path: Path, moment: Callable[[Path], bool], uninterrupted: dict[str, dict[str, torch.Tensor]]
) -> None:
    killed(start(tmp_path), tmp_path, moment)
    finish(tmp_path, "--resume")
    resumed = tensors(tmp_path)
    assert resumed.keys() == uninterrupted.keys()
    for name, state in uninterrupted.items():
        assert all(torch.equal(value, resumed[name][tensor]) for tensor, value in state.items())
    assert not [path.name for path in (tmp_path / "checkpoints/generators_per_class").iterdir() if path.suffix != ".pt"]


def test_a_run_that_goes_on_does_not_train_again_what_was_done(tmp_path: Path) -> None:
    killed(start(tmp_path), tmp_path, rounds_ended(2))
    finish(tmp_path, "--resume")
    (metrics,) = tmp_path.glob("runs/*/metrics.jsonl")
    events = [json.loads(line) for line in metrics.read_text().splitlines()]
    resumed = next(event for event in events if event["event"] == "run_resumed")
    assert resumed["rounds_done"] >= 2
    after = [event for event in events[events.index(resumed) :] if event["event"] == "round_ended"]
    assert [event["round"] for event in after] == list(range(resumed["rounds_done"] + 1, 5))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, sent: signal.Signals) -> None:
    process = start(tmp_path)
    while not rounds_ended(1)(tmp_path):
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, sent)
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"hint: feda2v {' '.join(COMMAND)} --resume" in errors
    (run,) = tmp_path.glob("runs/*/run.json")
    assert json.loads(run.read_text())["status"] == "interrupted"
    assert not list(tmp_path.glob("checkpoints/*/.*"))


def test_resuming_without_an_earlier_run_starts_anew(tmp_path: Path) -> None:
    finish(tmp_path, "--resume")
    assert len(tensors(tmp_path)) == 50
