import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import SECONDS

from feda2v_cli.data.builtin import builtin_clips

FEDA2V = str(Path(sys.executable).with_name("feda2v"))
QUICK = ("--rounds", "2", "--epochs", "1", "--set", "checkpoint.every=0")


def only(completed: "subprocess.CompletedProcess[str]", code: int) -> str:
    """What a command that failed said, and nothing else."""
    assert completed.returncode == code, completed.stderr
    assert completed.stdout == ""
    assert "Traceback" not in completed.stderr
    return completed.stderr


def test_the_json_envelope_holds_what_was_promised(feda2v, tmp_path: Path) -> None:
    completed = feda2v("train-generators", "-g", "per_group", *QUICK, "--json")
    envelope = json.loads(completed.stdout)
    assert {key: envelope[key] for key in ("schema_version", "status", "command")} == {
        "schema_version": 1,
        "status": "ok",
        "command": "train-generators",
    }
    data = envelope["data"]
    assert data.keys() == {
        *("run_dir", "granularity", "encoder", "seconds"),
        *("samples_per_second", "peak_memory_bytes", "checkpoints"),
    }
    saved = data["checkpoints"][0]
    assert saved.keys() == {"path", "node", "key", "classes", "round", "final", "parameters", "bytes", "loss"}
    assert (tmp_path / saved["path"]).stat().st_size == saved["bytes"]
    assert (saved["node"], saved["key"], saved["round"], saved["final"]) == (0, "animals", 2, True)


def test_a_dry_run_tells_all_and_writes_nothing(feda2v, tmp_path: Path) -> None:
    data = json.loads(feda2v("train-generators", "-g", "per_class", "--dry-run", "--json").stdout)["data"]
    assert data.keys() == {"generators", "memory_bytes", "disk_bytes", "files", "would_overwrite"}
    assert data["generators"][0].keys() == {"node", "key", "classes", "clips", "parameters", "bytes"}
    assert len(data["generators"]) == 15
    assert len(data["files"]) == 45
    assert data["would_overwrite"] == []
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_names_the_files_that_would_be_overwritten(feda2v) -> None:
    feda2v("train-generators", *QUICK)
    data = json.loads(feda2v("train-generators", *QUICK, "--dry-run", "--json").stdout)["data"]
    assert data["would_overwrite"] == data["files"]


def test_the_disk_figure_of_a_dry_run_is_right(feda2v, tmp_path: Path) -> None:
    for granularity in ("unified", "per_class"):
        planned = json.loads(feda2v("train-generators", "-g", granularity, *QUICK, "--dry-run", "--json").stdout)
        feda2v("train-generators", "-g", granularity, *QUICK)
        directory = Path(planned["data"]["files"][0]).parent
        written = sum(path.stat().st_size for path in (tmp_path / directory).iterdir())
        assert written == pytest.approx(planned["data"]["disk_bytes"], rel=0.05)


def test_results_go_to_stdout_and_notes_to_stderr(feda2v) -> None:
    completed = feda2v("train-generators", *QUICK)
    assert completed.stdout.startswith("checkpoint ")
    assert "training on the built-in sounds" in completed.stderr
    assert "round 2 of 2: loss" in completed.stderr


def test_quiet_prints_the_result_alone(feda2v) -> None:
    completed = feda2v("train-generators", *QUICK, "-q")
    assert completed.stderr == ""
    assert "3 checkpoints in checkpoints/generators" in completed.stdout


def test_piped_output_has_no_control_characters(feda2v) -> None:
    completed = feda2v("train-generators", *QUICK)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", completed.stdout + completed.stderr)


def in_terminal(directory: Path, *arguments: str, **environment: str) -> str:
    """What a terminal of 80 columns is sent."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.environ.update({"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"} | environment)
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


def test_a_terminal_sees_a_bar_with_rate_and_time_left_and_colour(tmp_path: Path) -> None:
    sent = in_terminal(tmp_path, "train-generators", "--rounds", "5", "--epochs", "20")
    assert "\x1b[" in sent
    assert "round 1 epoch" in sent
    assert "clips/s" in sent
    assert re.search(r"\d:\d\d", sent)


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_a_terminal_gets_plain_lines(tmp_path: Path, setting: dict[str, str]) -> None:
    sent = in_terminal(tmp_path, "train-generators", *QUICK, **setting)
    assert "\x1b" not in sent
    assert "round 2 of 2: loss" in sent


def test_output_fits_80_columns(tmp_path: Path) -> None:
    sent = in_terminal(tmp_path, "train-generators", "-g", "per_class", *QUICK, "-q", NO_COLOR="1")
    table = [line for line in sent.replace("\r", "").splitlines() if ".pt" in line]
    assert len(table) == 15
    assert max(map(len, table)) <= 80


def esc50_with(directory: Path, table: str) -> str:
    (directory / "ESC-50" / "meta").mkdir(parents=True)
    (directory / "ESC-50" / "audio").mkdir()
    (directory / "ESC-50" / "meta" / "esc50.csv").write_text(table)
    return "ESC-50"


HEADER = "filename,fold,target,category,esc10,src_file,take\n"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "esc50.csv"),
        (HEADER, "esc50.csv"),
        ("file,fold,class\n1.wav,1,dog\n", "filename"),
        (HEADER + "1-1-A-0.wav,1,0,dog,True,1,A\n", "1-1-A-0.wav"),
        (HEADER + "1-1-A-0.wav,one,0,dog,True,1,A\n", ":2"),
    ],
    ids=["empty", "without_rows", "unknown_columns", "absent_files", "bad_fold"],
)
def test_a_bad_table_of_clips_is_an_error_that_names_it(feda2v, tmp_path: Path, table: str, said: str) -> None:
    root = esc50_with(tmp_path, table)
    completed = feda2v("train-generators", "--data-root", root)
    assert said in only(completed, completed.returncode)
    assert completed.returncode in (1, 3)
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "runs").exists()


BAD_INPUT = {
    "data_root_missing": (["--data-root", "nowhere"], 3, "data.root nowhere is not there"),
    "unknown_granularity": (["-g", "per_clas"], 2, "expected one of unified, per_class, per_group"),
    "unknown_profile": (["-p", "unifed"], 2, "did you mean unified?"),
    "unknown_key": (["-s", "generator.epocs=3"], 2, "did you mean generator.epochs?"),
    "unknown_device": (["--device", "tpu"], 2, "expected one of auto, cpu, cuda, mps"),
    "device_that_is_not_there": (["--device", "mps"], 3, "PyTorch finds no such device"),
    "unknown_node": (["--nodes", "7"], 2, "it has 0, 1, 2"),
    "class_without_data": (["-s", 'nodes.0.classes=["dogg"]'], 3, "did you mean dog?"),
    "class_in_no_group": (["-g", "per_group", "-s", "generator.groups.animals=['dog']"], 2, "is in no group"),
    "node_without_clips": (["-s", "data.train_folds=[9]"], 3, "node 0: no clip of dog"),
    "granularity_auto": (["-p", "use_pretrained"], 2, "leaves the granularity to the checkpoints"),
    "memory_without_unit": (["--memory", "3"], 2, 'a size like "2GB"'),
    "not_a_number": (["--rounds", "many"], 2, "--rounds"),
    "directory_that_cannot_be_made": (["--checkpoint-dir", "/proc/none"], 1, "/proc/none cannot be made"),
}


@pytest.mark.parametrize(("arguments", "code", "said"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_answered_and_nothing_is_written(
    feda2v, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    assert said in only(feda2v("train-generators", *arguments), code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data_root_missing", "unknown_granularity", "unknown_key", "not_a_number"])
def test_bad_input_is_answered_in_json(feda2v, name: str) -> None:
    arguments, code, said = BAD_INPUT[name]
    completed = feda2v("train-generators", *arguments, "--json")
    assert completed.returncode == code
    assert completed.stderr == ""
    envelope = json.loads(completed.stdout)
    assert envelope["status"] == "error"
    assert said in envelope["error"]["message"]


def test_checkpoints_that_are_there_are_refused_with_exit_4(feda2v) -> None:
    feda2v("train-generators", *QUICK)
    assert "3 checkpoints are there already" in only(feda2v("train-generators", *QUICK), 4)
    assert feda2v("train-generators", *QUICK, "--force").returncode == 0


def test_two_runs_at_once_in_one_directory_exclude_each_other(feda2v, tmp_path: Path) -> None:
    first = subprocess.Popen(
        [FEDA2V, "train-generators", "--rounds", "200"], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    while not list(tmp_path.glob("checkpoints/generators/.*.lock")):
        assert first.poll() is None
        time.sleep(0.01)
    said = only(feda2v("train-generators", "--force"), 4)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=SECONDS)
    assert "another run is writing the checkpoints of node 0 in checkpoints/generators" in said


def test_an_unreadable_clip_is_named_before_anything_is_trained(feda2v, tmp_path: Path) -> None:
    clips = [clip for clip in builtin_clips() if clip.class_name == "dog" and clip.take < 10]
    rows = "".join(f"{clip.fold}-{clip.take}-A-0.wav,{clip.fold},0,dog,True,1,A\n" for clip in clips)
    root = esc50_with(tmp_path, HEADER + rows)
    for clip in clips:
        (tmp_path / root / "audio" / f"{clip.fold}-{clip.take}-A-0.wav").write_bytes(b"RIFF")
    nodes = 'nodes=[{id=0, classes=["dog"]}]'
    said = only(feda2v("train-generators", "--data-root", root, "-s", nodes), 1)
    assert "0-A-0.wav cannot be used" in said
    assert "--skip-unreadable" in said
    assert not list(tmp_path.glob("checkpoints/*/*.pt"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_too_small_is_told_before_training(feda2v, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        said = only(feda2v("train-generators", *QUICK, "--checkpoint-dir", str(disk / "generators")), 1)
        assert "bytes free, the checkpoints need" in said
        assert list((disk / "generators").iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_up_ends_the_run_with_a_clear_error(feda2v, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    filler = disk / "filler"
    running = subprocess.Popen(
        [FEDA2V, "train-generators", "--rounds", "2", "--epochs", "150", "--checkpoint-dir", disk / "generators"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not list(tmp_path.glob("runs/*/run.json")):
            assert running.poll() is None
            time.sleep(0.01)
        filler.write_bytes(bytes(8_700_000))
        _, errors = running.communicate(timeout=SECONDS)
        assert running.returncode == 1
        assert "No space left on device" in errors
        assert "Traceback" not in errors
        assert not [path for path in (disk / "generators").iterdir() if path.name.endswith(".tmp")]
        filler.unlink()
        assert feda2v(*running.args[1:], "--resume").returncode == 0
    finally:
        running.kill()
        running.communicate()
        subprocess.run(["umount", disk], check=True)
