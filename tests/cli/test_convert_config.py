import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from legacy_configurations import vegas_nodes, with_generators

from feda2v_cli.profile.load import load_profile

FEDA2V = Path(sys.executable).with_name("feda2v")
CONFIGS = Path(__file__).parents[1] / "legacy" / "config" / "configs"
PER_GROUP = str(CONFIGS / "a2v_generator_training_per_group.json")
PRETRAINED = str(CONFIGS / "a2v_use_pretrained_generators.json")


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def convert(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        [FEDA2V, "convert-config", *arguments], capture_output=True, text=True, check=False, env=environment
    )


def envelope(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(convert(*arguments, "--json").stdout)
    return answer


def test_one_file_is_printed_and_its_report_goes_to_stderr(tmp_path: Path) -> None:
    done = convert(PER_GROUP)
    (tmp_path / "new.toml").write_text(done.stdout)

    assert done.returncode == 0
    assert load_profile("new.toml").profile.generator == load_profile("per_group").profile.generator
    assert "feda2v.generator_granularity" in done.stderr
    assert done.stderr.endswith(
        "RUN 1, run it with: feda2v train-generators -p a2v_generator_training_per_group.toml --data-root DIR\n"
    )


def test_quiet_prints_the_profile_and_warnings_alone() -> None:
    done = convert(PER_GROUP, "--quiet")

    assert done.returncode == 0
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines())


def test_with_an_output_the_report_is_the_result(tmp_path: Path) -> None:
    done = convert(PRETRAINED, "-o", "my profile.toml")

    assert done.returncode == 0
    assert load_profile("my profile.toml").profile.federation.weighting == "equal"
    assert [path.name for path in tmp_path.iterdir()] == ["my profile.toml"]
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.split()}
    assert "generator.granularity = " in rows["feda2v.generator_granularity"]
    assert "dropped" in rows["wandb.disabled"]
    assert "RUN 2, run it with: feda2v federate -p 'my profile.toml' --data-root DIR" in done.stderr


def test_a_directory_becomes_a_directory() -> None:
    done = convert(str(CONFIGS), "-o", "new")

    assert done.returncode == 0
    assert sorted(path.name for path in Path("new").iterdir()) == sorted(
        f"{path.stem}.toml" for path in CONFIGS.glob("*.json")
    )
    assert len(done.stdout.splitlines()) == 5
    assert "new/a2v_use_pretrained_generators.toml" in done.stdout


def test_json_is_one_envelope_with_everything_in_it() -> None:
    answer = envelope(PER_GROUP, "-o", "new.toml")

    assert {key: answer[key] for key in ("schema_version", "status", "command")} == {
        "schema_version": 1,
        "status": "ok",
        "command": "convert-config",
    }
    file = answer["data"]["files"][0]
    assert set(file) == {
        "source",
        "output",
        "purpose",
        "commands",
        "renamed",
        "dropped",
        "unknown",
        "warnings",
        "notes",
        "defaults",
        "needs",
        "profile",
    }
    assert (file["source"], file["output"]) == (PER_GROUP, "new.toml")
    assert file["profile"] == Path("new.toml").read_text()


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_a_value_stands_in_the_row_of_its_key_at_any_width(columns: str) -> None:
    done = subprocess.run(
        [FEDA2V, "convert-config", PER_GROUP, "-o", "new.toml"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": columns},
    )
    firsts = [line for line in done.stdout.splitlines() if line.startswith("nodes.N.val_r")]

    assert all(len(line) <= int(columns) for line in done.stdout.splitlines())
    assert ["0.1" in line for line in firsts] == [True]


def test_a_long_file_of_another_time_is_told_in_few_lines(tmp_path: Path) -> None:
    old = with_generators(adapter_aggregation_mode="kd", kd_training_epochs=5) | {
        "nodes": vegas_nodes(*[("dog", "drum")] * 20)
    }
    (tmp_path / "old.json").write_text(json.dumps(old))
    done = convert("old.json", "-o", "new.toml")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: ") <= 2
    assert len(done.stderr.splitlines()) < 10
    assert "rewind" in done.stdout


def test_what_changes_no_result_is_one_line(tmp_path: Path) -> None:
    old = json.loads(Path(PRETRAINED).read_text())
    old["federation"]["num_clients"] = 7
    old["nodes"]["0"]["selected_classes"] += ["Dog", "COW"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    lines = convert("old.json", "-o", "new.toml").stderr.splitlines()

    assert [line for line in lines if line.startswith("note: no other result by: ")] == [
        "note: no other result by: federation.num_clients = 7 — there are 3 entries under nodes, which is what counts, "
        'as before; nodes.0.selected_classes.5 = "Dog" — named twice; nodes.0.selected_classes.6 = "COW" — named twice'
    ]
    assert len([line for line in lines if line.startswith("note: where the file is silent")]) == 1


def test_json_holds_a_profile_that_is_written_nowhere() -> None:
    file = envelope(PER_GROUP)["data"]["files"][0]

    assert file["output"] is None
    assert 'granularity = "per_group"' in file["profile"]


def test_a_file_that_is_there_ends_with_exit_code_4_and_stays() -> None:
    Path("new.toml").write_text("mine")
    done = convert(PER_GROUP, "-o", "new.toml")

    assert done.returncode == 4
    assert done.stderr == "error: new.toml is there already\nhint: --force overwrites\n"
    assert Path("new.toml").read_text() == "mine"


def test_force_overwrites() -> None:
    Path("new.toml").write_text("mine")

    assert convert(PER_GROUP, "-o", "new.toml", "--force").returncode == 0
    assert Path("new.toml").read_text() != "mine"


def test_a_source_that_is_not_there_ends_with_exit_code_3() -> None:
    done = convert("nowhere.json")

    assert done.returncode == 3
    assert done.stderr.startswith("error: nowhere.json is not there\n")


def test_several_files_without_a_directory_end_with_exit_code_2() -> None:
    assert convert(PER_GROUP, PRETRAINED).returncode == 2


def test_a_directory_that_cannot_be_written_ends_with_exit_code_1() -> None:
    Path("file").touch()
    done = convert(PER_GROUP, "-o", "file/new.toml")

    assert done.returncode == 1
    assert done.stderr.startswith("error: file/new.toml cannot be written")


def test_a_broken_file_ends_with_exit_code_2_and_its_place() -> None:
    Path("old.json").write_text('{\n  "feda2v": {,}\n}')
    done = convert("old.json")

    assert done.returncode == 2
    assert done.stderr == (
        "error: old.json:2:14 is not valid JSON — expected a key in double quotes\n"
        "hint: feda2v profiles show unified prints a valid profile\n"
    )
    assert done.stdout == ""


def test_unknown_keys_end_with_exit_code_2_under_strict() -> None:
    Path("old.json").write_text('{"fame": 1, "nodes": {"0": {"dataset": "ESC50", "selected_classes": ["dog"]}}}')

    assert convert("old.json").returncode == 0
    assert convert("old.json", "--strict").stderr.splitlines()[:2] == [
        "error: old.json has 1 problem",
        "  old.json:1:2 fame = 1 — not a key of the earlier system",
    ]


def test_the_good_files_are_converted_when_others_are_broken(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("[")
    (tmp_path / "two.json").write_text("{}")
    done = convert("one.json", PER_GROUP, "two.json", "-o", "new", "--json")

    assert done.returncode == 2
    answer = json.loads(done.stdout)
    assert answer["status"] == "error"
    assert answer["error"]["message"].splitlines()[0] == "2 files could not be converted"
    assert [file["source"] for file in answer["data"]["files"]] == [PER_GROUP]
    assert [path.name for path in Path("new").iterdir()] == ["a2v_generator_training_per_group.toml"]


def test_the_examples_of_the_help_work_as_printed() -> None:
    Path("old.json").write_text(Path(PER_GROUP).read_text())
    Path("configs").mkdir()
    Path("configs/other.json").write_text(Path(PRETRAINED).read_text())
    lines = convert("-h").stdout.splitlines()
    examples = [
        line.split("feda2v convert-config ", 1)[1] for line in lines if ": feda2v" in line and "Usage" not in line
    ]

    assert examples == ["old.json -o new.toml", "configs -o converted"]
    assert [convert(*example.split()).returncode for example in examples] == [0, 0]


def test_converting_does_not_import_torch() -> None:
    code = (
        "import sys; from feda2v_cli.cli import main; from feda2v_cli.legacy.config import report, files, page; "
        "sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
