import json
from pathlib import Path

import pytest
from run_samples import events_of, federated, killed, started, trained

from feda2v_cli.report.history import History
from feda2v_cli.run.event import RoundEnded
from feda2v_cli.run.record import RunRecord


def test_curves_hold_what_was_recorded_of_rounds_nodes_and_baselines(tmp_path: Path) -> None:
    run = federated(tmp_path)
    history = History.of(RunRecord.read(run.path))
    told = {
        (event["round"], node): losses["clip"]
        for event in events_of(run)
        if event["event"] == "federation_round_ended" and event["federation"] == "chosen"
        for node, losses in event["node_loss"].items()
    }
    for node in "012":
        rounds, values = history.curves["loss", "clip", f"node {node}"].points()
        assert dict(zip(rounds.tolist(), values.tolist(), strict=True)) == {
            number: value for (number, one), value in told.items() if one == node
        }
    assert {line for kind, _, line in history.curves if kind == "accuracy"} == {
        "all nodes", "node 0", "node 1", "node 2", "baseline none", "baseline fedavg", "baseline central",
    }  # fmt: skip
    assert [found["code"] for found in history.findings] == ["FA016"]
    assert history.warnings == ["left out 1 unreadable clip"]


def test_a_round_that_was_told_twice_counts_as_it_was_told_last(tmp_path: Path) -> None:
    run = started(tmp_path, "train-generators")
    for number, loss in ((1, 9.0), (2, 8.0), (3, 7.0), (2, 5.0)):
        run.record(RoundEnded(number, 3, 1, 1, 0.1, {"node 0": {"loss": loss}}))
    rounds, values = History.of(RunRecord.read(run.path)).curves["training", "loss", "node 0"].points()
    assert (rounds.tolist(), values.tolist()) == ([1, 2, 3], [9.0, 5.0, 7.0])


def test_a_line_cut_off_is_counted_and_the_rest_is_there(tmp_path: Path) -> None:
    history = History.of(RunRecord.read(killed(tmp_path).path))
    assert history.damaged == 1
    assert history.curves["loss", "t5", "node 2"].points()[0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "fields",
    [
        {"losses": []},
        {"losses": {"m": 3}},
        {"losses": {"m": {"loss": "much"}}},
        {"losses": {"m": {"loss": [1]}}},
        {"round": "one"},
        {"round": None},
        {"round": 1e300},
        {"round": 2**70},
        {"round": -1},
        {"losses": None},
    ],
)
def test_an_event_that_is_not_what_its_name_says_is_damaged(tmp_path: Path, fields: dict[str, object]) -> None:
    run = trained(tmp_path)
    event = {"event": "round_ended", "round": 1, "rounds": 1, "losses": {"m": {"loss": 1.0}}} | fields
    with (run.path / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps(event) + "\n")
    history = History.of(RunRecord.read(run.path))
    assert history.damaged == 1
    assert all(line.startswith("node ") for _, _, line in history.curves)
    assert history.curves["training", "loss", "node 0 animals"].points()[0].tolist() == list(range(1, 11))


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    run = started(tmp_path, "train-generators")
    for number, loss in ((1, 1.0), (2, float("nan")), (3, float("inf")), (4, 4.0)):
        run.record(RoundEnded(number, 4, 1, 1, 0.1, {"node 0": {"loss": loss}}))
    rounds, _ = History.of(RunRecord.read(run.path)).curves["training", "loss", "node 0"].points()
    assert rounds.tolist() == [1, 4]
