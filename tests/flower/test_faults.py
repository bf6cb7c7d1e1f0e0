import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from flower_places import FEDA2V, Place, run, wait_until

pytestmark = pytest.mark.flower


def _federate(place: Place, adapters: str, *options: str) -> "subprocess.CompletedProcess[str]":
    words = ["federate", "-p", "node.toml", "--engine", "flower", "--server", place.address, "--keys", "keys"]
    return run(place.path, *words, "--checkpoint-dir", adapters, *options)


def _node_processes(place: Place, name: str) -> list[int]:
    """The ids of the processes that a `feda2v flower node` or server has started."""
    parent = place.processes[name].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(child) for child in children.split()]


def test_a_node_with_another_key_is_refused(served: Place, tmp_path: Path) -> None:
    shutil.copytree(served.path / "keys", tmp_path / "keys")
    other = run(tmp_path, "flower", "keys", "-o", "other", "--host", "localhost", "--nodes", "1")
    assert other.returncode == 0
    shutil.copy(tmp_path / "other" / "node_0.key", tmp_path / "keys" / "node_0.key")
    words = ["flower", "node", "-p", "node.toml", "--id", "0", "--server", served.address]
    done = run(served.path, *words, "--keys", str(tmp_path / "keys"))
    assert done.returncode == 1
    assert f"{served.address} does not know node 0 by the key" in done.stderr
    done = run(served.path, *words, "--keys", str(tmp_path / "other"))
    assert done.returncode == 1
    assert f"{served.address} is not the server of" in done.stderr


def test_a_node_without_a_key_is_refused(served: Place, tmp_path: Path) -> None:
    words = ["flower", "node", "-p", "node.toml", "--id", "0", "--server", served.address, "--keys", str(tmp_path)]
    done = run(served.path, *words)
    assert done.returncode == 3
    assert "ca.crt is not there" in done.stderr


def test_a_server_of_another_authority_is_refused(served: Place, tmp_path: Path) -> None:
    assert run(tmp_path, "flower", "keys", "-o", "other", "--host", "localhost", "--nodes", "2").returncode == 0
    words = ["federate", "-p", "node.toml", "--engine", "flower", "--server", served.address]
    done = run(served.path, *words, "--keys", str(tmp_path / "other"), "--checkpoint-dir", "refused")
    assert done.returncode == 1
    assert "is not the one of ca.crt" in done.stderr
    # The right authority, and not the command's key.
    shutil.copy(served.path / "keys" / "ca.crt", tmp_path / "other" / "ca.crt")
    done = run(served.path, *words, "--keys", str(tmp_path / "other"), "--checkpoint-dir", "refused")
    assert done.returncode == 1
    assert "does not accept command.key" in done.stderr


def test_a_node_that_does_not_agree_is_named(served: Place) -> None:
    done = _federate(served, "disagree", "--set", "embedding.tokens=2")
    assert done.returncode == 1
    assert "node 0: the audio encoder — it has" in done.stderr
    assert "nothing has been trained" in done.stderr


def test_a_node_that_hangs_is_named_left_out_and_back_when_it_goes_on(served: Place) -> None:
    (hung,) = _node_processes(served, "node1")
    words = ["federate", "-p", "node.toml", "--engine", "flower", "--server", served.address, "--keys", "keys"]
    words += ["--checkpoint-dir", "hung", "--rounds", "4", "--set", "federation.deadline=15.0"]
    with (served.path / "hung.log").open("w") as log:
        federation = subprocess.Popen([FEDA2V, *words], cwd=served.path, stderr=log, stdout=log)
        wait_until(lambda: "round 1 of 4" in (served.path / "hung.log").read_text() or federation.poll() is not None)
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: "it is left out" in (served.path / "hung.log").read_text() or federation.poll() is not None)
        os.kill(hung, signal.SIGCONT)
        assert federation.wait(200) == 0
    text = (served.path / "hung.log").read_text()
    assert re.search(r"(round|evaluation).*: node 1 has not answered within 15 s; it is left out", text), text
    run_dir = served.path / re.findall(r"run (runs/\S+)", text)[-1]
    rounds = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    present = [event["present"] for event in rounds if event["event"] == "federation_round_ended"]
    assert present[0] == [0, 1]


def test_a_run_goes_on_after_server_and_command_were_killed(trained_place: Path) -> None:
    from feda2v_cli.flower.process import free_port

    place = Place(trained_place, free_port())
    try:
        place.start_server()
        place.wait_for("server", "serving 2 nodes")
        place.start_node(0)
        place.start_node(1)
        words = ["federate", "-p", "node.toml", "--engine", "flower", "--server", place.address, "--keys", "keys"]
        words += ["--checkpoint-dir", "killed", "--rounds", "6"]
        log = place.path / "killed.log"
        with log.open("w") as output:
            federation = subprocess.Popen([FEDA2V, *words], cwd=place.path, stderr=output, stdout=output)
        wait_until(lambda: "round 2 of 6" in log.read_text() or federation.poll() is not None)
        assert federation.poll() is None, log.read_text()
        (superlink,) = _node_processes(place, "server")
        os.kill(superlink, signal.SIGKILL)
        federation.kill()
        federation.wait()
        place.processes.pop("server").wait(30)
        (place.path / "server.log").write_text("")
        place.start_server()
        place.wait_for("server", "serving 2 nodes")
        done = run(place.path, *words, "--resume")
        assert done.returncode == 0, done.stderr
        assert "2 rounds done" in done.stderr or "3 rounds done" in done.stderr
        assert "accuracy" in done.stdout
    finally:
        place.stop_all()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_one_command_leaves_no_process_and_no_secret(trained_place: Path, tmp_path: Path, number: int) -> None:
    runs = tmp_path / "runs"
    words = ["federate", "-p", "node.toml", "--engine", "flower", "--checkpoint-dir", str(tmp_path / "adapters")]
    words += ["--set", f"experiment.runs='{runs}'", "--rounds", "50"]
    log = tmp_path / "log"
    with log.open("w") as output:
        federation = subprocess.Popen([FEDA2V, *words], cwd=trained_place, stderr=output, stdout=output)
    wait_until(lambda: "round 1 of 50" in log.read_text() or federation.poll() is not None)
    assert federation.poll() is None, log.read_text()
    (listed,) = runs.glob("*/flower/processes.json")
    processes = [process["pid"] for process in json.loads(listed.read_text())["processes"]]
    assert len(processes) == 3
    federation.send_signal(number)
    federation.wait(60)
    wait_until(lambda: not any(_runs(pid) for pid in processes), 30)
    if number == signal.SIGKILL:
        from feda2v_cli.job.flower.reach import clean_up

        clean_up(runs)
    time.sleep(0.2)
    assert list(runs.glob("**/*.key")) == list(runs.glob("**/processes.json")) == []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
