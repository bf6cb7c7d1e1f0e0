import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flower_places import FEDA2V, ROUNDS, Place, wait_until
from patience import SECONDS

from feda2v_cli.errors import FailedError

pytestmark = pytest.mark.flower


Strangers = dict[str, "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def strangers(served: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strangers]:
    """Nodes that are refused, by the name of their keys, started all at once; each is waited for where it is asked."""
    from feda2v_cli.flower.keys import make_keys

    other, mixed, none = (tmp_path_factory.mktemp("keys") / name for name in ("other", "mixed", "none"))
    make_keys(other, ["localhost"], range(2))
    shutil.copytree(served.path / "keys", mixed)
    shutil.copy(other / "node_0.key", mixed / "node_0.key")
    none.mkdir()
    started = {
        keys.name: subprocess.Popen(
            served.node_words(0, str(keys)), cwd=served.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for keys in (other, mixed, none, served.path / "keys")
    }
    try:
        yield started
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def _ended(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Exit code of a node, and what it said."""
    said = process.communicate(timeout=SECONDS)[0].decode()
    return process.returncode, said


def test_a_node_with_another_key_is_refused(served: Place, strangers: Strangers) -> None:
    code, said = _ended(strangers["mixed"])
    assert code == 1
    assert f"{served.address} does not know node 0 by the key" in said


def test_a_node_refuses_a_server_of_another_authority(served: Place, strangers: Strangers) -> None:
    code, said = _ended(strangers["other"])
    assert code == 1
    assert f"{served.address} is not the server of" in said


def test_a_node_without_a_key_is_refused(strangers: Strangers) -> None:
    code, said = _ended(strangers["none"])
    assert code == 3
    assert "ca.crt is not there" in said


def test_the_command_refuses_a_server_of_another_authority(place: Place, tmp_path: Path) -> None:
    from feda2v_cli.flower.keys import make_keys

    make_keys(tmp_path / "other", ["localhost"], range(2))
    with pytest.raises(FailedError, match=r"is not the one of ca\.crt"):
        place.federate("refused", keys=str(tmp_path / "other"))


def test_a_command_without_the_command_s_key_is_refused(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.path / "keys", tmp_path / "keys")
    (tmp_path / "keys" / "command.key").write_text("0" * 64)
    with pytest.raises(FailedError, match=r"does not accept command\.key"):
        place.federate("refused", keys=str(tmp_path / "keys"))


def test_a_node_that_does_not_agree_is_named(place: Place) -> None:
    with pytest.raises(FailedError) as raised:
        place.federate("disagree", "embedding.tokens=2")
    assert any(line.startswith("node 0: the audio encoder — it has") for line in raised.value.details)
    assert "nothing has been trained" in raised.value.details


def test_a_second_process_of_a_node_is_refused_and_the_first_goes_on(served: Place, strangers: Strangers) -> None:
    code, said = _ended(strangers["keys"])
    assert code == 1
    assert f"another process is node 0 of {served.address}" in said
    assert served.processes["node0"].poll() is None
    assert "node 0 is gone" not in served.log("server")


def test_a_second_server_with_the_same_state_is_refused(served: Place) -> None:
    from feda2v_cli.checkpoint.lock import LockedError
    from feda2v_cli.flower.process import free_port
    from feda2v_cli.job.flower.serve import serve

    state = served.path / "flower-server"
    with pytest.raises(LockedError, match="another server runs with the state in"):
        serve(served.path / "keys", "127.0.0.1", free_port(), state, print)


def test_a_round_that_needs_a_node_that_stands_still_waits_until_it_goes_on(served: Place) -> None:
    (still,) = served.children("node1")
    with served.federating("still", *ROUNDS, "--set", "federation.quorum=2") as federation:
        federation.wait_for(lambda: [0, 1] in federation.present())
        os.kill(still, signal.SIGSTOP)
        try:
            federation.wait_for_text("waiting for node 1")
            done = len(federation.present())
        finally:
            os.kill(still, signal.SIGCONT)
        federation.wait_for(lambda: len(federation.present()) > done)
        assert federation.present()[done] == [0, 1]


def test_a_node_that_was_killed_is_named_left_out_and_back_when_it_is_started_again(served: Place) -> None:
    (killed,) = served.children("node1")
    with served.federating("node_killed", *ROUNDS) as federation:
        federation.wait_for(lambda: [0, 1] in federation.present())
        os.kill(killed, signal.SIGKILL)
        served.processes.pop("node1").wait(SECONDS)
        served.start_node(1)
        federation.wait_for(federation.has_someone_back)
        assert re.search(r"round \d+: node 1 .*; it is left out", federation.log.read_text())


def test_a_letter_of_which_only_a_part_was_sent_blocks_no_node(served: Place, tmp_path: Path) -> None:
    from feda2v_cli.flower.keys import Keys
    from feda2v_cli.flower.letter import Letter
    from feda2v_cli.flower.link import Link

    def stop(_: object) -> None:
        raise InterruptedError

    keys, letter = Keys(served.path / "keys"), Letter("evaluate", {"run": "another"})
    first, second = (Link(served.address, keys, tmp_path / name) for name in ("first", "second"))
    log = max(served.path.glob("runs/*-node0*/flower/node.log"), key=lambda path: path.stat().st_mtime)
    received = log.read_text().count("Receiving:")
    first.open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first._grid._runtime_client, "PushObject", stop)
        with pytest.raises(InterruptedError):
            first.ask({0: letter}, SECONDS)
    wait_until(lambda: log.read_text().count("Receiving:") > received)
    first.close(completed=False)
    second.open()
    try:
        answer = second.ask({0: letter}, SECONDS / 2)[0].letter
        assert answer is not None
        assert answer.kind == "unprepared"
    finally:
        second.close(completed=True)


def test_a_run_goes_on_after_server_and_command_were_killed(served: Place) -> None:
    with served.federating("killed", "--rounds", "3") as federation:
        federation.wait_for(lambda: len(federation.present()) >= 2)
        (superlink,) = served.children("server")
        os.kill(superlink, signal.SIGKILL)
        federation.process.kill()
    served.processes.pop("server").wait(SECONDS)
    (served.path / "server.log").write_text("")
    served.start_server()
    served.wait_for("server", "serving 2 nodes")
    with served.federating("killed", "--rounds", "3", "--resume") as federation:
        federation.end()
        assert "round 3 of 3" in federation.log.read_text()
        assert any(f"{done} rounds done" in federation.log.read_text() for done in (1, 2))


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
    wait_until(lambda: not any(_runs(pid) for pid in processes))
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
