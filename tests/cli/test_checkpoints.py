"""`feda2v checkpoints ls` and `verify` as processes, as people and scripts run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata

FEDA2V = Path(sys.executable).with_name("feda2v")


def run(*arguments, cwd, columns="80", **environment):
    plain = {**os.environ, "NO_COLOR": "1", "COLUMNS": columns, **environment}
    return subprocess.run([FEDA2V, "checkpoints", *arguments], capture_output=True, text=True, cwd=cwd, env=plain)


def metadata(node=0, key="dog", end=10, final=True, classes=("dog", "sea_waves")):
    """Metadata of a per_class generator."""
    return GeneratorMetadata(
        base_name="vae_perclass",
        node_id=node,
        round=end,
        final=final,
        timestamp="2026-11-20T10:00:00+00:00",
        generator_type="vae",
        generator_granularity="per_class",
        run_granularity="per_class",
        generator_key=key,
        generator_classes=(key,),
        class_name=key,
        group_name=None,
        generator_class_groups={},
        node_classes=classes,
        expected_keys=classes,
        architecture={"type": "vae", "remainder": "diagonal"},
        encoder={"name": "melstats", "sample_rate": 16000, "seconds": 5.0, "tokens": 4, "version": 1},
        embedding_shape=(4, 768),
        dataset_name="builtin",
        train_folds=(1, 2, 3, 4),
        test_folds=(5,),
        samples_per_class={key: 32},
        dataset_fingerprint="0f" * 8,
        seed=0,
        generator_training_epochs=200,
        optimiser={"name": "adamw"},
        final_losses={"loss": 12.5},
        quality=None,
        package_version="0.1.0",
        torch_version="2.14.1",
        profile_hash="ab",
    )


@pytest.fixture
def workplace(tmp_path):
    """A working directory with a sound set under `checkpoints/`."""
    directory = tmp_path / "checkpoints/generators_per_class"
    directory.mkdir(parents=True)
    for key in ("dog", "sea_waves"):
        for end, final in ((9, False), (10, False), (10, True)):
            said = metadata(key=key, end=end, final=final)
            weight = torch.full((100,), float(end + len(key)))
            write_checkpoint(directory / said.name.filename, said, {"weight": weight})
    return tmp_path


LISTING = """\
checkpoints/generators_per_class
  node  key        classes    round     size    encoder   loss
  0     dog        dog        9         4.9 kB  melstats  12.5
  0     dog        dog        10        4.9 kB  melstats  12.5
  0     dog        dog        10 final  4.9 kB  melstats  12.5
  0     sea_waves  sea_waves  9         5.0 kB  melstats  12.5
  0     sea_waves  sea_waves  10        5.0 kB  melstats  12.5
  0     sea_waves  sea_waves  10 final  5.0 kB  melstats  12.5
"""


def test_the_list_is_this(workplace):
    result = run("ls", cwd=workplace)
    assert (result.stdout, result.stderr, result.returncode) == (LISTING, "", 0)


def test_the_list_is_the_same_when_it_is_asked_for_by_path(workplace):
    assert run("ls", "checkpoints/generators_per_class", cwd=workplace).stdout == LISTING


def test_a_narrow_terminal_cuts_classes_and_nothing_else(workplace):
    lines = run("ls", cwd=workplace, columns="61").stdout.splitlines()
    assert max(map(len, lines)) <= 61
    assert any("sea_wav…" in line for line in lines)


def test_the_json_list_has_these_fields(workplace):
    envelope = json.loads(run("ls", "--json", cwd=workplace).stdout)
    assert envelope["command"] == "checkpoints ls"
    first = envelope["data"]["checkpoints"][0]
    assert first == {
        "path": "checkpoints/generators_per_class/vae_perclass_node0_class_dog_round_9.pt",
        "node": 0,
        "key": "dog",
        "granularity": "per_class",
        "base_name": "vae_perclass",
        "classes": ["dog"],
        "round": 9,
        "final": False,
        "bytes": first["bytes"],
        "generator_type": "vae",
        "encoder": "melstats",
        "loss": 12.5,
        "spread": None,
        "problem": None,
    }


def test_a_file_that_cannot_be_read_is_listed_with_the_reason(workplace):
    (workplace / "checkpoints/generators_per_class/vae_perclass_node1_class_cow.pt").write_bytes(b"")
    result = run("ls", cwd=workplace)
    assert result.stdout.endswith("  vae_perclass_node1_class_cow.pt — is empty\n")
    assert result.returncode == 0


def test_nothing_to_list_is_said_on_stderr(tmp_path):
    result = run("ls", cwd=tmp_path)
    assert (result.stdout, result.stderr, result.returncode) == ("", "no checkpoints in checkpoints\n", 0)


def test_an_absent_path_to_list_is_missing(tmp_path):
    result = run("ls", "absent", cwd=tmp_path)
    assert (result.stderr.splitlines()[0], result.returncode) == ("error: absent — no such file or directory", 3)


def test_a_sound_tree_is_verified_in_one_line(workplace):
    result = run("verify", cwd=workplace)
    assert (result.stdout, result.stderr, result.returncode) == ("6 checkpoints checked: all sound\n", "", 0)


def test_an_error_exits_with_1_and_a_warning_with_0(workplace):
    directory = workplace / "checkpoints/generators_per_class"
    (directory / ".vae_perclass_node0_class_dog.pt.00aa00aa.tmp").touch()
    assert run("verify", cwd=workplace).returncode == 0
    (directory / "vae_perclass_node0_class_dog.pt").write_bytes(b"PK")
    assert run("verify", cwd=workplace).returncode == 1


def test_the_json_of_a_sound_tree_is_an_ok(workplace):
    result = run("verify", "--json", cwd=workplace)
    data = {"checked": 6, "errors": 0, "warnings": 0, "findings": []}
    expected = {"schema_version": 1, "status": "ok", "command": "checkpoints verify", "data": data}
    assert json.loads(result.stdout) == expected


def test_the_json_of_an_error_carries_its_code(tmp_path):
    result = run("verify", "--json", cwd=tmp_path)
    envelope = json.loads(result.stdout)
    assert (envelope["status"], envelope["error"]["code"], result.returncode) == ("error", "FA001", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--granularity", "per-class"),
            "error: --granularity per-class — expected one of unified, per_class, per_group",
        ),
        (("--nodes", "a"), "error: --nodes a — expected node ids with commas between them"),
        (("--explain", "FA999"), "error: --explain FA999 — there is no such code"),
        (("--profile", "absent"), "error: no profile absent: neither a file nor a shipped profile"),
        (("--profile", "per_class", "--nodes", "7"), "error: --nodes 7 — profile per_class has nodes 0, 1, 2"),
    ],
)
def test_wrong_usage_is_told_and_exits_with_2(workplace, arguments, message):
    result = run("verify", *arguments, cwd=workplace)
    assert (result.stderr.splitlines()[0], result.returncode) == (message, 2)


def test_what_a_profile_asks_for_is_held_against_what_is_there(workplace):
    result = run("verify", "--profile", "per_class", "--nodes", "0,1", cwd=workplace)
    assert "FA004 node-missing" in result.stdout
    assert "node 0 holds class rooster" in result.stdout
    assert result.returncode == 1


def test_explaining_a_code_needs_no_checkpoints(tmp_path):
    result = run("verify", "--explain", "fa012", cwd=tmp_path)
    assert result.stdout.startswith("FA012 name-disagrees (error, a warning with --permissive)\n")
    assert result.returncode == 0


def test_names_with_control_characters_reach_no_terminal(workplace):
    (workplace / "checkpoints" / os.fsdecode(b"\xff\x1b[2J_node0.pt")).touch()
    for command in ("ls", "verify"):
        for arguments in ((command,), (command, "--json")):
            result = run(*arguments, cwd=workplace)
            assert "\x1b" not in result.stdout
            assert result.returncode in (0, 1)


@pytest.mark.parametrize("command", ["ls", "verify"])
def test_neither_command_imports_pytorch_or_numpy(workplace, command):
    script = (
        "import sys; sys.argv = ['feda2v', 'checkpoints', sys.argv[1]]\n"
        "from feda2v_cli.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script, command], capture_output=True, text=True, cwd=workplace)
    assert result.stdout.splitlines()[-1] == "[]"
