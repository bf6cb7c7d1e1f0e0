import json
from pathlib import Path

import pytest
from run_samples import compared, evaluated, federated, killed, started, trained

from feda2v_cli.errors import FailedError
from feda2v_cli.report.result import Result, result_of
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.event import ignore_event
from feda2v_cli.run.record import RunRecord


def result(run: RunDirectory) -> Result:
    return result_of(RunRecord.read(run.path))


def test_run_1_tells_generators_and_loss(tmp_path: Path) -> None:
    told = result(trained(tmp_path))
    assert told.short == "2 per_group generators, loss 41.000"
    assert told.figures["generators"] == 2


def test_run_2_tells_accuracy_with_its_interval_samples_and_baselines(tmp_path: Path) -> None:
    told = result(federated(tmp_path))
    assert told.short == "accuracy 0.900"
    assert told.sentence == (
        "Accuracy is 0.900 (95 % interval 0.647 to 0.911, 32 clips held out) with fedavg and 30 samples of 3 "
        "generators; every node alone 0.300; fedavg without samples 0.500; all clips in one place 0.700."
    )
    assert told.figures["worst node"] == pytest.approx(0.88)
    assert told.figures["accuracy, fedavg"] == 0.5


def test_an_evaluation_tells_its_verdict_and_reasons(tmp_path: Path) -> None:
    told = result(evaluated(tmp_path))
    assert told.short == "sound"
    assert "are sound: TSTR is 0.95 of TRTR." in told.sentence
    assert told.figures["TSTR / TRTR"] == 1.0


def test_a_comparison_tells_which_granularity_is_best_at_what(tmp_path: Path) -> None:
    told = result(compared(tmp_path))
    assert told.short == "per_class 0.900"
    assert told.sentence.startswith("per_class gives the best accuracy, 0.900 (without samples 0.700), and unified")


def test_a_run_that_was_killed_tells_how_far_it_came(tmp_path: Path) -> None:
    told = result(killed(tmp_path))
    assert told.short == "round 4 of 8"
    assert told.sentence == "The run was killed after round 4 of 8: this is what there is."


def test_a_run_that_failed_tells_why(tmp_path: Path) -> None:
    run = started(tmp_path, "federate")
    with pytest.raises(FailedError), run.recording([], ignore_event):
        raise FailedError("memory ran out", ["and more"])
    assert result(run) == Result("memory ran out", "The run failed: memory ran out")


def test_a_run_of_a_kind_that_is_not_known_tells_its_verdict_and_figures(tmp_path: Path) -> None:
    run = started(tmp_path, "audit")
    run.finish("done", {"verdict": "guarded", "auc": 0.5678, "seconds": 3.0, "files": ["a"]})
    assert result(run) == Result("guarded", "The run is done: guarded, auc 0.568.", {"auc": 0.5678})


@pytest.mark.parametrize("make", [trained, federated, evaluated, compared])
@pytest.mark.parametrize("value", [None, [], {}, "x", [1], {"a": 1}, 7])
def test_whatever_a_summary_holds_it_has_a_result(tmp_path: Path, make, value: object) -> None:  # type: ignore[no-untyped-def]
    run = make(tmp_path)
    summary = json.loads((run.path / "summary.json").read_text())
    for name in summary:
        (run.path / "summary.json").write_text(json.dumps(summary | {name: value}))
        assert isinstance(result(run).sentence, str)
