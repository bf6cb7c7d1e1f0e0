import json
import os
import pty
import re
import select
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FEDA2V = str(Path(sys.executable).with_name("feda2v"))

QUICK = ("--rounds", "2", "--local-epochs", "1", "--set", "federation.evaluate_every=1")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories with generators of each granularity, closed-form ones."""
    from feda2v_cli.job.train_generators.run import train_generators
    from feda2v_cli.profile.load import load_profile

    directories = {}
    for granularity in ("unified", "per_class", "per_group"):
        directory = tmp_path_factory.mktemp(granularity)
        settings = ["generator.type=gaussian", "checkpoint.every=0", f"checkpoint.dir={directory}"]
        train_generators(load_profile(granularity, settings=[*settings, f"experiment.runs={directory}/runs"]))
        shutil.rmtree(directory / "runs")
        directories[granularity] = directory
    return directories


@pytest.fixture
def after_run_1(tmp_path: Path, trained: dict[str, Path]) -> Callable[..., None]:
    """Puts the generators of some granularities where RUN 1 leaves them."""
    places = {"unified": "generators", "per_class": "generators_per_class", "per_group": "generators_per_group"}

    def put(*granularities: str) -> None:
        for granularity in granularities:
            shutil.copytree(trained[granularity], tmp_path / "checkpoints" / places[granularity])

    return put


def test_the_json_envelope_holds_what_was_promised(feda2v, after_run_1, tmp_path: Path) -> None:
    after_run_1("unified")
    data = json.loads(feda2v("federate", *QUICK, "--json").stdout)["data"]
    assert data.keys() == {"run_dir", "strategy", "engine", "seconds", "rounds", "final", "synthetic"}
    assert [row["round"] for row in data["rounds"]] == [1, 2]
    assert data["rounds"][0].keys() == {"round", "accuracy", "node_accuracy", "loss"}
    assert data["final"].keys() == {"accuracy", "node_accuracy", "per_class_accuracy", "loss", "cosine"}
    assert data["final"]["node_accuracy"].keys() == {"0", "1", "2"}
    assert data["final"]["loss"].keys() == {"clip", "t5"}
    assert data["synthetic"]["node_samples"] == {"0": 100, "1": 100, "2": 100}
    summary = json.loads((tmp_path / data["run_dir"] / "summary.json").read_text())
    assert len(summary["confusion"]) == len(summary["classes"]) == 15
    assert sum(map(sum, summary["confusion"])) == 120


def test_several_sets_are_listed_with_the_command_for_each(feda2v, after_run_1) -> None:
    after_run_1("unified", "per_class")
    completed = feda2v("federate", *QUICK)
    assert completed.returncode == 2
    assert "2 sets of generators under checkpoints/ would do" in completed.stderr
    lines = [line.strip() for line in completed.stderr.splitlines() if "--generators" in line]
    assert "--generators checkpoints/generators --base-name vae_unified" in lines[0]
    assert "--generators checkpoints/generators_per_class --base-name vae_perclass" in lines[1]
    words = lines[1].partition("   (")[0].split()
    assert feda2v(*words[1:]).returncode == 0


def test_without_generators_the_command_that_trains_them_is_named(feda2v, tmp_path: Path) -> None:
    completed = feda2v("federate")
    assert completed.returncode == 3
    assert "hint: feda2v train-generators --granularity unified" in completed.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_all_and_writes_nothing(feda2v, after_run_1, tmp_path: Path) -> None:
    after_run_1("per_group")
    before = sorted(tmp_path.rglob("*"))
    data = json.loads(feda2v("federate", "--dry-run", "--json").stdout)["data"]
    assert data["generators"]["granularity"] == "per_group"
    assert [node["clips"] for node in data["nodes"]] == [160, 160, 160]
    assert len(data["files"]) == 4
    assert data["would_overwrite"] == []
    assert sorted(tmp_path.rglob("*")) == before


def test_adapters_that_are_there_are_not_overwritten(feda2v) -> None:
    options = (*QUICK, "--synthetic-per-class", "0")
    assert feda2v("federate", *options).returncode == 0
    refused = feda2v("federate", *options)
    assert refused.returncode == 4
    assert "4 adapters are there already" in refused.stderr
    assert feda2v("federate", *options, "--force").returncode == 0


def test_results_go_to_stdout_and_notes_to_stderr(feda2v) -> None:
    completed = feda2v("federate", *QUICK, "--synthetic-per-class", "0")
    assert completed.stdout.startswith("round  accuracy  node 0")
    assert "round 2 of 2: accuracy" in completed.stderr
    assert "\x1b" not in completed.stdout + completed.stderr


def test_baselines_stand_side_by_side(feda2v) -> None:
    options = ("--rounds", "1", "--local-epochs", "1", "--synthetic-per-class", "0")
    completed = feda2v("federate", "--baselines", *options)
    rows = ("fedavg: this run", "none: every node alone", "fedavg, no samples, as many steps", "central")
    assert all(row in completed.stdout for row in rows)


def test_adapters_are_listed_and_verified(feda2v, after_run_1) -> None:
    after_run_1("unified")
    feda2v("federate", *QUICK)
    listed = json.loads(feda2v("checkpoints", "ls", "checkpoints/adapters", "--json").stdout)["data"]["checkpoints"]
    assert [Path(entry["path"]).name for entry in listed] == [
        *(f"adapter_node{node}.pt" for node in range(3)),
        "adapter_server.pt",
    ]
    verified = feda2v("checkpoints", "verify")
    assert verified.returncode == 0
    assert "7 checkpoints checked: all sound" in verified.stdout


def test_generators_that_do_not_match_are_refused_with_code_and_hint(feda2v, after_run_1, tmp_path: Path) -> None:
    after_run_1("unified")
    completed = feda2v("federate", "-g", "per_class", "--generators", "checkpoints/generators", "--json")
    error = json.loads(completed.stdout)["error"]
    assert (completed.returncode, error["code"]) == (1, "FA003")
    assert error["hint"].startswith("feda2v federate --profile use_pretrained --generators checkpoints/generators")
    assert not (tmp_path / "runs").exists()


def test_a_terminal_sees_a_table_that_grows(tmp_path: Path) -> None:
    sent = re.sub(
        r"\x1b\[[0-9;?]*[a-zA-Z]", "", in_terminal(tmp_path, "federate", *QUICK, "--synthetic-per-class", "0")
    )
    first = sent.index("round  accuracy  node 0")
    assert "round 2" in sent
    assert sent.index("round  accuracy  node 0", first + 1) > first


def in_terminal(directory: Path, *arguments: str) -> str:
    """What a terminal of 80 columns is sent."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"})
        os.execv(FEDA2V, ["feda2v", *arguments])
    received = b""
    while True:
        select.select([terminal], [], [], 60)
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        received += part
    os.waitpid(process, 0)
    return received.decode()


def test_a_round_in_which_no_node_trains_tells_no_loss_of_nodes(feda2v, after_run_1) -> None:
    after_run_1("unified")
    done = feda2v("federate", *QUICK, "--strategy", "one_shot", "-v")
    assert re.search(r"^round 1 of 2 in \d+\.\d s$", done.stderr, re.MULTILINE), done.stderr
    assert "no node" not in done.stderr
