"""Streams that are closed, full or of few letters, paths that cannot be looked at, and no home: no traceback ever."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from patience import SECONDS

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
LONG = "x" * 300
OLD = '{"nodes": {"0": {"dataset": "ESC50", "selected_classes": ["dog"]}}}'


def shell(command: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    words = ["bash", "-c", command.replace("feda2v", FEDA2V)]
    return subprocess.run(words, cwd=cwd, env=os.environ | environment, capture_output=True, timeout=SECONDS)


@pytest.mark.parametrize(
    "command",
    [
        "profiles ls >&-",
        "profiles ls >/dev/full",
        "profiles ls --json >/dev/full",
        "profiles show nix --json >/dev/full",
        "--version >/dev/full",
        "--help >&-",
    ],
)
def test_a_result_that_cannot_be_written_is_exit_1(tmp_path: Path, command: str) -> None:
    done = shell(f"feda2v {command}", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: the result cannot be written to stdout \xe2\x80\x94 ")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "code"), [("profiles ls", 0), ("profiles show nix", 2), ("profiles nix", 2), ("", 2)]
)
@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_is_lost_changes_no_exit_code(tmp_path: Path, command: str, code: int, stream: str) -> None:
    assert shell(f"feda2v {command} {stream}", tmp_path).returncode == code


RUN = "train-generators --nodes 0 --rounds 1 --epochs 1"
MELSTATS = "--set embedding.encoder=melstats --set embedding.tokens=4"


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_a_run_goes_on_when_its_progress_is_lost(tmp_path: Path, stream: str) -> None:
    done = shell(f"feda2v {RUN} --json {stream}", tmp_path)
    assert done.returncode == 0
    assert Path(tmp_path, json.loads(done.stdout)["data"]["checkpoints"][0]["path"]).is_file()


def test_a_run_goes_on_when_its_terminal_is_gone(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    # As a process that was disowned: nobody tells it that the terminal is gone.
    process = subprocess.Popen(
        [FEDA2V, *RUN.split(), "--json"], cwd=tmp_path, stderr=theirs, stdout=subprocess.PIPE, start_new_session=True
    )
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert json.loads(out)["status"] == "ok"


@pytest.mark.parametrize("columns", ["", "abc", "0", "-5", "²", "1", "99999999999"])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_width_that_is_none_shows_everything_all_the_same(tmp_path: Path, columns: str, terminal: bool) -> None:
    command = "feda2v profiles ls"
    done = shell(f"script -qec '{command}' /dev/null" if terminal else command, tmp_path, COLUMNS=columns)
    assert done.returncode == 0
    assert done.stdout.count(b"RUN 1, ") == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "command",
    ["convert-config --help", "convert-config old.json", "profiles show unified", "profiles show n\u00e4chste\u2026"],
)
def test_a_letter_that_a_terminal_lacks_is_escaped(tmp_path: Path, command: str, encoding: str) -> None:
    (tmp_path / "old.json").write_text(OLD)
    done = shell(f"feda2v {command}", tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == (2 if "chste" in command else 0)
    assert b"Traceback" not in done.stderr


def test_json_stays_json_on_a_terminal_that_lacks_a_letter(tmp_path: Path) -> None:
    done = shell("feda2v profiles show n\u00e4chste --json", tmp_path, PYTHONIOENCODING="ascii")
    assert "n\u00e4chste" in json.loads(done.stdout.decode("ascii"))["error"]["message"]


def test_paths_that_are_no_utf8_are_shown_escaped(tmp_path: Path) -> None:
    here = tmp_path / os.fsdecode(b"d\xff")
    here.mkdir()
    (here / os.fsdecode(b"o\xfe.json")).write_text(OLD)
    for command in ("convert-config $'o\\xfe.json'", "convert-config $'o\\xfe.json' -o $'p\\xfe.toml'"):
        assert shell(f"feda2v {command}", here).returncode == 0
    shown = shell("feda2v profiles show $'p\\xfe.toml' --json", here)
    assert json.loads(shown.stdout)["data"]["name"] == "p\udcfe"
    run = shell(f"feda2v {RUN} -p $'p\\xfe.toml' --set data.dataset=builtin {MELSTATS} --json", here)
    assert run.returncode == 0, run.stderr
    assert shell("feda2v checkpoints verify $'../d\\xff/checkpoints'", here).returncode == 0


def test_a_profile_refuses_a_path_that_is_no_utf8(tmp_path: Path) -> None:
    done = shell("feda2v train-generators --dry-run --data-root $'\\xff'", tmp_path)
    assert done.returncode == 2
    assert "not UTF-8, which a profile is" in done.stderr.decode()


@pytest.mark.parametrize(
    "command",
    [
        f"profiles show {LONG}",
        f"convert-config {LONG}",
        f"convert-config old.json -o {LONG}",
        f"checkpoints ls {LONG}",
        f"checkpoints verify {LONG}",
        f"train-generators --dry-run --data-root {LONG}",
        f"train-generators --dry-run --checkpoint-dir {LONG}",
        f"train-generators --dry-run -s embedding.cache={LONG}",
        f"train-generators --dry-run -s embedding.encoder=/{LONG}",
        f"train-generators -s experiment.runs={LONG}",
        f"federate --dry-run --generators {LONG}",
        f"federate --dry-run --checkpoint-dir {LONG} --synthetic-per-class 0",
        f"evaluate {LONG}",
        f"compare --output {LONG}",
    ],
    ids=lambda command: command.replace(LONG, "LONG"),
)
def test_a_name_that_is_too_long_is_told_in_the_systems_words(feda2v, tmp_path: Path, command: str) -> None:
    (tmp_path / "old.json").write_text(OLD)
    done = feda2v(*command.split())
    assert done.returncode in (1, 2, 3)
    assert "File name too long" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["train-generators", "train-generators --dry-run", "compare"])
@pytest.mark.parametrize("cache", ["~no-such-user/x", "/etc/passwd/x"])
def test_a_cache_that_cannot_be_is_told_before_work_begins(feda2v, command: str, cache: str) -> None:
    done = feda2v(*command.split(), FEDA2V_EMBEDDING_CACHE=cache)
    assert done.returncode in (1, 2)
    assert "hint: --set embedding.cache=DIR" in done.stderr
    assert "embedding 1" not in done.stderr


def test_no_home_directory_is_told_before_work_begins(tmp_path: Path) -> None:
    program = (
        "import os, pwd, sys\n"
        "os.environ.pop('HOME', None)\n"
        "def getpwuid(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = getpwuid\n"
        "from feda2v_cli.cli.main import run\n"
        "sys.argv = ['feda2v', 'train-generators', '--dry-run']\n"
        "run()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "FEDA2V_EMBEDDING_CACHE"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "this user has no home directory\nhint: --set embedding.cache=DIR" in done.stderr


def test_progress_without_a_terminal_ends_with_the_whole(feda2v) -> None:
    done = feda2v(*RUN.split())
    lines = [line for line in done.stderr.splitlines() if line.startswith("embedding ")]
    assert lines[-1] == "embedding 160 of 160 clips"
