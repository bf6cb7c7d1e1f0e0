"""What is quick must stay quick: it never imports PyTorch."""

import os
import subprocess
import sys
from email.message import Message
from pathlib import Path

import pytest
from model_samples import store_as_hub_does, write_ast
from run_samples import federated
from typer.testing import CliRunner

import feda2v_cli
from feda2v_cli.cli.checkpoints import ExpectedOptions
from feda2v_cli.cli.compare import ComparisonOptions
from feda2v_cli.cli.federate import FederationOptions
from feda2v_cli.cli.images import PictureOptions
from feda2v_cli.cli.main import app
from feda2v_cli.cli.options import ProfileOptions, RunOptions, keys_of
from feda2v_cli.cli.targets import TargetOptions
from feda2v_cli.cli.train_generators import TrainingOptions
from feda2v_cli.profile.schema import Profile

QUICK_COMMANDS = [
    ["--help"],
    ["--version"],
    ["train-generators", "--help"],
    ["federate", "--help"],
    ["evaluate", "--help"],
    ["images", "--help"],
    ["targets", "--help"],
    ["compare", "--help"],
    ["checkpoints", "verify", "--help"],
    ["checkpoints", "ls", "--help"],
    ["checkpoints", "ls", "."],
    ["checkpoints", "verify", "--explain", "FA003"],
    ["report", "--help"],
    ["report", "--last", "2"],
    ["runs", "ls"],
    ["runs", "show", "20"],
    ["profiles", "ls"],
    ["profiles", "show", "per_group"],
    ["profiles", "check", "unified"],
    ["convert-config", "--help"],
]


@pytest.mark.parametrize("arguments", QUICK_COMMANDS, ids=" ".join)
def test_a_quick_command_never_imports_torch(tmp_path: Path, arguments: list[str]) -> None:
    if arguments[0] in ("report", "runs"):
        federated(tmp_path / "runs")
    code = (
        "import sys\n"
        "from feda2v_cli.cli.main import run\n"
        f"sys.argv = ['feda2v', *{arguments!r}]\n"
        "try: run()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    completed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr


@pytest.mark.parametrize("name", ["models/ast", "organisation/ast"])
def test_verifying_against_a_model_of_hugging_face_never_imports_torch(tmp_path: Path, name: str) -> None:
    model = write_ast(tmp_path / "models" / "ast")
    store_as_hub_does(model, tmp_path / "huggingface", "organisation/ast")
    text = f"[embedding]\nencoder = '{name}'\n[[nodes]]\nid = 0\nclasses = ['dog']\n"
    (tmp_path / "mine.toml").write_text(text)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from feda2v_cli.profile.load import load_profile\n"
        "from feda2v_cli.verifier.expectation import Expectation\n"
        "assert Expectation.from_profile(load_profile('mine.toml'), 'mine.toml').encoder['weights']\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "huggingface"), "HF_HUB_OFFLINE": "1"}
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stderr


def test_help_imports_neither_pydantic_nor_rich() -> None:
    code = (
        "import sys\n"
        "from feda2v_cli.cli.main import run\n"
        "sys.argv = ['feda2v', '--help']\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "assert not {'pydantic', 'rich', 'numpy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [[], ["checkpoints"], ["flower"], ["profiles"], ["runs"]], ids=" ".join)
def test_no_summary_of_a_command_is_cut_off_at_80_columns(feda2v, arguments: list[str]) -> None:
    completed = feda2v(*arguments, "--help", COLUMNS="80")
    _, commands = completed.stdout.split("Commands:\n")
    assert len(commands.split("\n\n")[0].splitlines()) >= 2
    assert "..." not in commands
    assert "…" not in commands
    assert max(map(len, completed.stdout.splitlines())) <= 80


def test_a_bug_ends_with_exit_5_and_asks_to_be_reported_without_inventing_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("three by nothing")

    monkeypatch.setattr("feda2v_cli.verifier.catalogue.catalogue", broken)
    result = CliRunner().invoke(app, ["checkpoints", "ls", "."])
    assert result.exit_code == 5
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-3].endswith("ZeroDivisionError: three by nothing")
    assert result.stderr.splitlines()[-1] == "hint: please report it with the lines above"


def test_a_bug_is_reported_to_the_address_that_the_package_names(monkeypatch: pytest.MonkeyPatch) -> None:
    named = Message()
    named["Project-URL"] = "Homepage, https://example.org"
    named["Project-URL"] = "Issues, https://example.org/issues"
    monkeypatch.setattr("importlib.metadata.metadata", lambda _: named)
    monkeypatch.setattr("feda2v_cli.verifier.catalogue.catalogue", lambda _: 1 / 0)
    result = CliRunner().invoke(app, ["checkpoints", "ls", "."])
    assert result.stderr.endswith("hint: please report it with the lines above: https://example.org/issues\n")


def test_every_option_that_sets_a_key_sets_one_that_profiles_have() -> None:
    groups = (ProfileOptions, RunOptions, TrainingOptions, FederationOptions, ComparisonOptions, ExpectedOptions)
    groups = (*groups, PictureOptions, TargetOptions)
    keys = [sets.key for group in groups for sets in keys_of(group).values()]
    assert len(keys) > 15
    schemas = {name: field.annotation.model_fields for name, field in Profile.model_fields.items() if name != "nodes"}
    assert [key for key in keys if key.split(".")[1] not in schemas[key.split(".")[0]]] == []


def test_the_public_functions_are_there_and_listed() -> None:
    for name in feda2v_cli.__all__:
        assert getattr(feda2v_cli, name) is not None
    assert sorted(dir(feda2v_cli)) == sorted(feda2v_cli.__all__)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        feda2v_cli.train  # noqa: B018


def test_the_version_is_printed(feda2v) -> None:
    assert feda2v("--version").stdout == f"feda2v {feda2v_cli.__version__}\n"


def test_no_arguments_print_the_help(feda2v) -> None:
    completed = feda2v()
    assert completed.returncode == 2
    assert completed.stderr.startswith("Usage: feda2v")


@pytest.mark.parametrize("arguments", [["train"], ["checkpoints", "lst"], ["train-generators", "--epoch", "3"]])
def test_a_word_that_is_not_known_is_answered_with_exit_2(feda2v, arguments: list[str]) -> None:
    completed = feda2v(*arguments)
    assert completed.returncode == 2
    assert completed.stderr.startswith("error: no such")
    assert "hint: feda2v" in completed.stderr
