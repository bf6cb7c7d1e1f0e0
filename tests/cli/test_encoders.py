"""Every command, from end to end, with every form in which a profile can name an encoder."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from model_samples import store_as_hub_does, write_ast

Run = Callable[..., "subprocess.CompletedProcess[str]"]  # noqa: F821 - as the fixture says

PROFILE = """
[embedding]
encoder = "{encoder}"
seconds = 2.0
[generator]
granularity = "unified"
rounds = 2
epochs = 1
[generator.groups]
animals = ["dog", "cow"]
nature = ["rain", "sea_waves"]
[federation]
rounds = 2
local_epochs = 1
evaluate_every = 2
[[nodes]]
id = 0
classes = ["dog", "cow"]
[[nodes]]
id = 1
classes = ["rain", "sea_waves"]
"""

FORMS = ("relative", "absolute", "hub", "melstats")


def an_encoder(form: str, directory: Path) -> str:
    """What a profile calls the encoder."""
    if form == "melstats":
        return form
    model = write_ast(directory / "models" / "tiny-ast")
    if form == "hub":
        store_as_hub_does(model, directory / "huggingface", "organisation/tiny-ast")
        return "organisation/tiny-ast"
    return "models/tiny-ast" if form == "relative" else str(model)


@pytest.fixture
def run(feda2v: Run, tmp_path: Path) -> Callable[..., str]:
    """`run("federate …")` is what it prints; the store of the hub is this test's, and there is no network."""

    def run(command: str, code: int = 0) -> str:
        environment = {"HF_HOME": str(tmp_path / "huggingface"), "HF_HUB_OFFLINE": "1"}
        done = feda2v(*shlex.split(command.removeprefix("feda2v ")), **environment)
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("form", FORMS)
def test_every_command_works_with_an_encoder_of_any_form(form: str, tmp_path: Path, run: Callable[..., str]) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE.format(encoder=an_encoder(form, tmp_path)))

    run("train-generators -p mine.toml -q")
    assert "all sound" in run("checkpoints verify")
    assert "all sound" in run("checkpoints verify --profile mine.toml --deep")
    run("federate -p mine.toml -q")
    assert "all sound" in run("checkpoints verify checkpoints --profile mine.toml")
    without = json.loads(run("evaluate checkpoints/generators --seeds 2 --json"))["data"]
    with_profile = json.loads(run("evaluate checkpoints/generators -p mine.toml --seeds 2 --json"))["data"]
    assert without["overall"] == with_profile["overall"]
    run("compare -p mine.toml -q --rounds 1" if form != "absolute" else "checkpoints ls")


def test_the_encoder_may_be_named_by_an_option_alone(tmp_path: Path, run: Callable[..., str]) -> None:
    encoder = an_encoder("relative", tmp_path)
    nodes = """--set 'nodes=[{id=0, classes=["dog", "cow"]}, {id=1, classes=["rain", "sea_waves"]}]'"""
    setting = f"--set embedding.encoder={encoder} --set embedding.seconds=2.0 {nodes}"

    run(f"train-generators {setting} --rounds 1 --epochs 1 -q")
    run(f"federate {setting} --rounds 1 -q")
    run("evaluate checkpoints/generators --seeds 2 -q")


@pytest.mark.parametrize("command", ["federate -p mine.toml", "checkpoints verify --profile mine.toml"])
def test_other_weights_in_the_same_directory_are_a_mismatch_that_the_hint_mends(
    tmp_path: Path, run: Callable[..., str], command: str
) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE.format(encoder=an_encoder("relative", tmp_path)))
    run("train-generators -p mine.toml -q")
    write_ast(tmp_path / "models" / "tiny-ast", seed=1)

    assert "all sound" in run("checkpoints verify --deep")
    failed = json.loads(run(f"{command} --json", code=1))["error"]
    assert (failed["code"], "tiny-ast with weights" in failed["message"]) == ("FA007", True)
    run(failed["hint"])
    run(command)


def test_an_encoder_that_an_option_names_is_named_by_the_hint_too(tmp_path: Path, run: Callable[..., str]) -> None:
    (tmp_path / "mine.toml").write_text(PROFILE.format(encoder="melstats"))
    run("train-generators -p mine.toml -q")
    command = f"federate -p mine.toml --set embedding.encoder={an_encoder('relative', tmp_path)}"

    failed = json.loads(run(f"{command} --json", code=1))["error"]
    assert failed["code"] == "FA007"
    run(failed["hint"])
    run(command)
