import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

METRICS = ["tstr", "trtr", "kad", "recall", "precision", "density", "coverage", "fad", "spread", "memorised"]
NODES = 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with closed-form generators of two nodes under checkpoints/generators."""
    from feda2v_cli.job.train_generators.run import train_generators
    from feda2v_cli.profile.load import load_profile

    root = tmp_path_factory.mktemp("evaluate")
    settings = [NODES, "generator.type=gaussian", "checkpoint.every=0", f"experiment.runs='{root}/runs'"]
    train_generators(load_profile("unified", settings=[*settings, f"checkpoint.dir='{root}/checkpoints/generators'"]))
    return root


@pytest.fixture(scope="module")
def answered(trained: Path) -> dict:
    executable = Path(sys.executable).with_name("feda2v")
    completed = subprocess.run(
        [executable, "evaluate", "--seeds", "2", "--json"], cwd=trained, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_the_envelope_holds_what_was_promised(answered: dict) -> None:
    assert answered["command"] == "evaluate"
    data = answered["data"]
    assert list(data["overall"]) == METRICS
    assert data["per_class"].keys() == {"dog", "rain", "siren", "crickets"}
    assert data["overall"]["recall"].keys() == {"value", "low", "high", "floor", "baseline"}
    assert data["overall"]["trtr"]["floor"] is None
    assert data["verdict"] == "sound"
    assert data["reasons"]


def test_the_one_set_is_found_and_shown(feda2v, trained: Path) -> None:
    completed = feda2v("evaluate", "--seeds", "2", cwd=trained)
    assert completed.returncode == 0
    assert completed.stdout.startswith("figure")
    assert "\nsound: TSTR is " in completed.stdout
    assert "draw 2 of 2 is measured" in completed.stderr
    assert "\x1b" not in completed.stdout + completed.stderr


def test_several_sets_are_listed_with_the_command_for_each(feda2v, trained: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(trained / "checkpoints/generators", tmp_path / "checkpoints" / name)
    completed = feda2v("evaluate")
    assert completed.returncode == 2
    assert "feda2v evaluate checkpoints/two --base-name vae_unified" in completed.stderr
    assert "feda2v audit checkpoints/two --base-name vae_unified" in feda2v("audit").stderr


def test_nothing_to_evaluate_ends_with_3(feda2v) -> None:
    completed = feda2v("evaluate")
    assert completed.returncode == 3
    assert completed.stderr.splitlines()[-1] == "hint: feda2v train-generators --granularity unified"


def test_what_is_to_be_trained_is_what_the_profile_says(feda2v, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[generator]\ngranularity = "per_class"\n[[nodes]]\nid = 0\nclasses = ["dog"]\n')
    completed = feda2v("audit", "-p", "my.toml", "--set", "embedding.tokens=2")
    assert completed.stderr.splitlines()[-1] == (
        "hint: feda2v train-generators --profile my.toml --set embedding.tokens=2 --granularity per_class"
    )


def test_other_clips_end_with_1_and_their_code(feda2v, trained: Path) -> None:
    settings = ("--set", NODES, "--set", "data.train_folds=[1]")
    completed = feda2v("evaluate", "-p", "unified", *settings, "--json", cwd=trained)
    assert completed.returncode == 1
    assert json.loads(completed.stdout)["error"]["code"] == "FA016"


def test_a_file_is_answered_with_its_directory(feda2v, trained: Path) -> None:
    completed = feda2v("evaluate", "checkpoints/generators/vae_unified_node0.pt", cwd=trained)
    assert completed.returncode == 2
    assert completed.stderr.endswith("hint: feda2v evaluate checkpoints/generators\n")


@pytest.mark.parametrize(("field", "value"), [("train_folds", (2**40,)), ("encoder", {"tokens": -1})])
def test_a_checkpoint_that_says_what_no_profile_can_say_is_damaged(
    feda2v, trained: Path, tmp_path: Path, field: str, value: object
) -> None:
    from dataclasses import replace

    from feda2v_cli.checkpoint.file import load_content, write_checkpoint
    from feda2v_cli.checkpoint.metadata import GeneratorMetadata

    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    for path in (tmp_path / "checkpoints/generators").glob("*.pt"):
        content, state = load_content(path, GeneratorMetadata)
        said = value if field == "train_folds" else content.metadata.encoder | value
        write_checkpoint(path, replace(content.metadata, **{field: said}), state)
    completed = feda2v("evaluate")
    assert completed.returncode == 1, completed.stderr
    assert "says of its training what no profile can say" in completed.stderr
