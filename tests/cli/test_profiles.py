import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

FEDA2V = Path(sys.executable).with_name("feda2v")


def feda2v(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "160"}
    return subprocess.run([FEDA2V, *arguments], capture_output=True, text=True, check=False, env=environment)


def envelope(*arguments: str) -> dict[str, object]:
    return json.loads(feda2v(*arguments, "--json").stdout)


def test_ls_lists_what_every_shipped_profile_does() -> None:
    lines = feda2v("profiles", "ls").stdout.splitlines()

    assert [line.split()[0] for line in lines[1:]] == ["per_class", "per_group", "unified", "use_pretrained"]
    assert "one generator for every group of classes" in lines[2]


def test_ls_has_a_json_form() -> None:
    answer = envelope("profiles", "ls")

    assert {key: answer[key] for key in ("schema_version", "status", "command")} == {
        "schema_version": 1,
        "status": "ok",
        "command": "profiles ls",
    }
    assert set(answer["data"]["profiles"][0]) == {"name", "path", "summary"}  # type: ignore[index]


def test_show_prints_a_valid_profile_with_origins() -> None:
    done = feda2v("profiles", "show", "per_group", "--set", "generator.epochs=5")

    assert done.returncode == 0
    assert tomli.loads(done.stdout)["generator"]["epochs"] == 5
    assert "epochs = 5 # --set generator.epochs" in done.stdout


def test_show_has_a_json_form() -> None:
    data = envelope("profiles", "show", "unified")["data"]

    assert data["profile"]["generator"]["granularity"] == "unified"  # type: ignore[index]
    assert data["origins"]["generator.granularity"].startswith("unified:")  # type: ignore[index]


def test_check_says_that_a_profile_is_valid() -> None:
    done = feda2v("profiles", "check", "unified")

    assert done.returncode == 0
    assert done.stdout == "unified is valid: 3 nodes, 15 classes, granularity unified\n"


def test_check_of_an_invalid_profile_ends_with_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "my profile.toml"
    path.write_text('[[nodes]]\nid = 0\nclasses = ["Dog"]\n')
    done = feda2v("profiles", "check", str(path))

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: profile {path} has 1 problem\n"
        f'  {path}:3:12 nodes.0.classes.0 = "Dog" — expected a name of lower case letters, digits and single '
        'underscores (at most 64); did you mean "dog"?\n'
        f"hint: feda2v profiles check '{path}' after mending it\n"
    )


def test_an_invalid_profile_is_an_error_envelope_under_json(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("nodes = []")
    done = feda2v("profiles", "check", str(path), "--json")

    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "profile-invalid"
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_profile_that_is_not_there_ends_with_exit_code_2(command: str) -> None:
    done = feda2v("profiles", command, "unifed")

    assert done.returncode == 2
    assert done.stderr.endswith("  did you mean unified?\nhint: feda2v profiles ls\n")


def test_profiles_do_not_import_torch() -> None:
    code = "import sys; from feda2v_cli.cli import main; from feda2v_cli.profile import load; "
    done = subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=False)

    assert done.returncode == 0
