import json
from dataclasses import replace
from pathlib import Path

import pytest

from feda2v_cli.errors import OverwriteError, ProfileError
from feda2v_cli.job.compare.report import Row
from feda2v_cli.job.compare.run import Comparison, compare
from feda2v_cli.run.event import Event, Noted
from feda2v_cli.run.record import RunRecord

pytestmark = pytest.mark.usefixtures("runs")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
QUICK = (
    'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]',
    'generator.groups={animals=["dog", "crickets"], others=["rain", "siren"]}',
    "generator.type=gaussian",
    "federation.local_epochs=1",
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare") / "comparison"


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def compared(output: Path, events: list[Event]) -> Comparison:
    return compare("unified", output=output, settings=QUICK, rounds=1, listener=events.append)


def test_there_is_a_row_for_each_granularity(compared: Comparison) -> None:
    assert [row.granularity for row in compared.rows] == ["unified", "per_class", "per_group"]
    assert [row.generators_per_node for row in compared.rows] == [(1, 1), (2, 2), (2, 2)]


def test_every_cell_is_measured(compared: Comparison) -> None:
    for row in compared.rows:
        assert row.disk_bytes_per_node > 4 * row.parameters_per_node
        assert row.training_seconds > 0
        assert 0.5 < row.tstr_share < 1.3
        assert 0 <= row.accuracy <= 1


def test_disk_is_that_of_the_node_that_holds_most(compared: Comparison, output: Path) -> None:
    directory = output / "per_class/generators"
    held = [sum(path.stat().st_size for path in directory.glob(f"*node{node}_*.pt")) for node in (0, 1)]
    assert compared.rows[1].disk_bytes_per_node == max(held)


def test_the_report_is_a_table_that_shows_the_picture(compared: Comparison, output: Path) -> None:
    lines = (output / "comparison.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(compared.rows)
    assert len({line.count("|") for line in table}) == 1
    assert lines[-1].endswith("(comparison.png)")


def test_the_data_are_those_that_the_command_prints(compared: Comparison, output: Path) -> None:
    assert json.loads((output / "comparison.json").read_text()) == json.loads(json.dumps(compared.to_dict()))


def test_the_picture_is_a_png(compared: Comparison, output: Path) -> None:
    assert output / "comparison.png" in compared.files
    assert (output / "comparison.png").read_bytes().startswith(PNG_SIGNATURE)


def test_a_comparison_is_a_run_that_holds_the_runs_it_has_made(compared: Comparison, runs: Path) -> None:
    record = RunRecord.read(compared.run_dir)
    assert (record.path.parent, record.state, record.kind) == (runs, "done", "compare")
    assert record.summary == json.loads(json.dumps(compared.to_dict()))
    made = {(inner.kind, inner.title, inner.state) for inner in record.inner}
    assert made == {
        ("federate", "without_samples", "done"),
        ("federate", "one_shot", "done"),
        *(
            (kind, f"{prefix}{granularity}", "done")
            for granularity in ("unified", "per_class", "per_group")
            for kind, prefix in (("train-generators", ""), ("evaluate", "evaluate-"), ("federate", ""))
        ),
    }


def test_every_step_is_told(compared: Comparison, events: list[Event]) -> None:
    told = [event.text for event in events if isinstance(event, Noted)]
    for granularity in (row.granularity for row in compared.rows):
        assert [text for text in told if text.startswith(f"{granularity}: ")] == [
            f"{granularity}: training",
            f"{granularity}: evaluating",
            f"{granularity}: federating",
        ]


def test_figures_do_not_depend_on_how_much_is_done_side_by_side(
    compared: Comparison, events: list[Event], tmp_path: Path
) -> None:
    told: list[Event] = []
    other = compare(
        "unified",
        output=tmp_path,
        settings=[*QUICK, "experiment.memory=4GB"],
        rounds=1,
        picture=False,
        side_by_side=3,
        listener=told.append,
    )
    assert figures(other) == figures(compared)
    assert other.without_samples == compared.without_samples
    assert other.one_shot == compared.one_shot
    assert steps(told) == steps(events)


def test_the_federations_beside_the_rows_leave_the_adapters_of_those_alone(compared: Comparison, output: Path) -> None:
    assert compared.without_samples >= 0
    assert compared.one_shot is not None
    assert compared.one_shot > 0
    adapters = {path.parent.parent.name for path in output.glob("*/adapters/*.pt")}
    assert adapters == {"unified", "per_class", "per_group", "without_samples", "one_shot"}


def figures(comparison: Comparison) -> list[Row]:
    """The rows, but for time, and for bytes: checkpoints name the directories of their run."""
    return [replace(row, training_seconds=0, disk_bytes_per_node=0) for row in comparison.rows]


def steps(events: list[Event]) -> list[str]:
    """What is told of the steps, but for where files go."""
    return [event.text for event in events if isinstance(event, Noted) and "/" not in event.text]


@pytest.mark.usefixtures("compared")
def test_a_comparison_that_is_there_is_not_overwritten(output: Path) -> None:
    with pytest.raises(OverwriteError, match="a comparison is there already"):
        compare("unified", output=output, settings=QUICK, rounds=1)


def test_groups_that_are_not_there_are_an_error_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ProfileError):
        compare("unified", output=tmp_path / "out", settings=[*QUICK, "generator.groups={}"], rounds=1)
    assert list(tmp_path.iterdir()) == []
