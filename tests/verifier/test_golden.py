"""What the command prints for each finding, word for word. `UPDATE_GOLDEN=1 pytest` writes the texts anew."""

import json
import os
import shlex
from pathlib import Path

import pytest
from checkpoint_scenarios import SCENARIOS, WARNINGS
from typer.main import get_command
from typer.testing import CliRunner

from feda2v_cli.cli.main import app
from feda2v_cli.verifier.codes import CODES

COMMANDS = get_command(app).commands
GOLDEN = Path(__file__).parent / "golden"


def run(*arguments):
    return CliRunner().invoke(app, ["checkpoints", "verify", *arguments], env={"COLUMNS": "100", "NO_COLOR": "1"})


def expect(name, text):
    golden = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.fixture(autouse=True)
def empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_code_has_a_scenario():
    assert SCENARIOS.keys() == CODES.keys()


@pytest.mark.parametrize("code", SCENARIOS)
def test_a_finding_is_told_in_these_words(code):
    arguments = SCENARIOS[code]()
    result = run(*arguments)
    expect(f"{code}.txt", "\n".join(line.rstrip() for line in result.stdout.splitlines()) + "\n")
    assert result.exit_code == (0 if code in WARNINGS else 1)
    assert result.stderr == ""


@pytest.mark.parametrize("code", SCENARIOS)
def test_a_finding_has_this_json(code):
    arguments = SCENARIOS[code]()
    result = run(*arguments, "--json")
    envelope = json.loads(result.stdout)
    expect(f"{code}.json", json.dumps(envelope, indent=2, ensure_ascii=False) + "\n")
    assert result.exit_code == (0 if code in WARNINGS else 1)
    assert code in [finding["code"] for finding in envelope["data"]["findings"]]


@pytest.mark.parametrize("code", SCENARIOS)
def test_a_code_is_explained_in_these_words(code):
    result = run("--explain", code)
    expect(f"{code}.explain.txt", result.stdout)
    assert result.exit_code == 0


@pytest.mark.parametrize("code", SCENARIOS)
def test_a_hint_is_a_command_that_is_understood(code):
    arguments = SCENARIOS[code]()
    findings = json.loads(run(*arguments, "--json").stdout)["data"]["findings"]
    for finding in findings:
        for command in finding["hint"].strip("()").split(" && "):
            words = shlex.split(command, comments=True)
            assert words[0] in ("feda2v", "mkdir", "mv", "rm", "pip")
            if words[:3] == ["feda2v", "checkpoints", "verify"]:
                assert run(*words[3:]).exit_code == 0
            elif words[0] == "feda2v" and words[1] in COMMANDS:
                COMMANDS[words[1]].make_context(words[1], words[2:])
