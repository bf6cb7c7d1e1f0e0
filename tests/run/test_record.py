import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from feda2v_cli.errors import MissingError
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import ignore_event
from feda2v_cli.run.record import RunRecord, runs_in


def created(runs: Path, name: str = "name") -> RunDirectory:
    return RunDirectory.create(
        runs, name, command=["feda2v", "federate", "--set", "a b"], key="key", profile="", resolved=""
    )


def test_a_run_is_running_while_its_process_records_it(tmp_path: Path) -> None:
    run = created(tmp_path)
    with run.recording([], ignore_event):
        assert RunRecord.read(run.path).state == "running"
    run.finish("done")
    assert RunRecord.read(run.path).state == "done"


def test_a_run_whose_process_was_killed_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from feda2v_cli.run.directory import RunDirectory; from feda2v_cli.run.event import ignore_event\n"
        "run = RunDirectory.create(Path(sys.argv[1]), 'n', command=['feda2v', 'federate'], profile='', resolved='')\n"
        "with run.recording([], ignore_event):\n"
        "    print(run.path, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert RunRecord.read(path).state == "running"
        process.send_signal(signal.SIGKILL)
    assert RunRecord.read(path).state == "killed"


def test_a_record_tells_command_kind_title_and_times(tmp_path: Path) -> None:
    run = created(tmp_path, "my-run")
    run.finish("done", {"seconds": 12.5})
    record = RunRecord.read(run.path)
    assert record.command_line == "feda2v federate --set 'a b'"
    assert (record.kind, record.title, record.seconds) == ("federate", "my-run", 12.5)
    assert record.started is not None
    assert record.ended is not None
    assert record.started <= record.ended


@pytest.mark.parametrize("content", ["{", "[]", "null", '{"status": "??"}', '{"status": ["done"]}', "[" * 100_000])
def test_a_run_that_does_not_say_what_it_is_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(content)
    record = RunRecord.read(tmp_path / "run")
    assert record.state == "damaged"
    assert (record.command, record.started, record.seconds, dict(record.summary)) == ((), None, None, {})


@pytest.mark.parametrize("field", ["started", "ended", "command", "kind", "error", "peak_memory_bytes", "machine"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "yesterday"])
def test_a_field_of_another_kind_is_as_if_it_were_not_there(tmp_path: Path, field: str, value: object) -> None:
    path = created(tmp_path).path
    content = json.loads((path / "run.json").read_text()) | {"status": "done", field: value}
    (path / "run.json").write_text(json.dumps(content))
    record = RunRecord.read(path)
    assert isinstance(record.command_line + record.kind + record.title, str)
    assert [record.seconds, record.peak_memory_bytes, record.error, record.started] != []


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is no run"):
        RunRecord.read(tmp_path)
    with pytest.raises(MissingError, match="is not there"):
        RunRecord.read(tmp_path / "nothing")


def test_runs_are_in_the_order_in_which_they_were_started(tmp_path: Path) -> None:
    paths = [created(tmp_path, name).path for name in ("c", "a", "b")]
    os.makedirs(tmp_path / "no-run")
    assert [record.path for record in runs_in(tmp_path)] == paths
    assert runs_in(tmp_path / "nothing") == []


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    path = created(tmp_path).path
    before = RunRecord.read(path).size_bytes()
    (path / "resume" / "state").write_bytes(bytes(1000))
    assert RunRecord.read(path).size_bytes() == before + 1000
