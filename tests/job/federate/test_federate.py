import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from feda2v_cli.adapter import Adapter
from feda2v_cli.errors import FailedError, MissingError, UsageError
from feda2v_cli.federation.synthetic import standardised_by_samples
from feda2v_cli.job.federate.plan import plan_federation
from feda2v_cli.job.federate.run import Federated, federate
from feda2v_cli.job.federate.set_up import makers
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Event, Noted, RoundSkipped
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_adapter

PLACES = {
    "unified": "checkpoints/generators",
    "per_class": "checkpoints/generators_per_class",
    "per_group": "checkpoints/generators_per_group",
}
QUICK = [
    "federation.rounds=2",
    "federation.local_epochs=1",
    "federation.evaluate_every=1",
    'adapter.spaces=["clip"]',
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory after RUN 1 of every granularity, with closed-form generators."""
    directory = tmp_path_factory.mktemp("run_1")
    for granularity, place in PLACES.items():
        settings = ["generator.type=gaussian", "checkpoint.every=0", f"checkpoint.dir={directory / place}"]
        train_generators(load_profile(granularity, settings=[*settings, f"experiment.runs={directory}/runs"]))
    return directory


@pytest.fixture
def after_run_1(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """An own working directory after RUN 1 of a granularity; where its generators lie."""

    def put(granularity: str) -> Path:
        monkeypatch.chdir(tmp_path)
        shutil.copytree(trained / PLACES[granularity], tmp_path / PLACES[granularity])
        return Path(PLACES[granularity])

    return put


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*settings: str, **options: object) -> Federated:
    loaded = load_profile("use_pretrained", settings=[*QUICK, *settings])
    return federate(loaded, **options)  # type: ignore[arg-type]


def refusal(*settings: str) -> FindingsError:
    with pytest.raises(FindingsError) as refused:
        run(*settings)
    assert not Path("runs").exists()
    assert not Path("checkpoints/adapters").exists()
    return refused.value


@pytest.mark.parametrize("granularity", PLACES)
def test_no_key_is_edited_between_the_two_runs(after_run_1, granularity: str) -> None:
    directory = after_run_1(granularity)
    notes: list[Event] = []
    done = run(listener=notes.append)
    assert (done.synthetic["granularity"], done.synthetic["directory"]) == (granularity, str(directory))
    assert any(f"{granularity} generators of {directory}" in note.text for note in notes if isinstance(note, Noted))


@pytest.mark.parametrize("granularity", PLACES)
def test_both_runs_work_on_recordings(tmp_path: Path, monkeypatch, esc50: Path, granularity: str) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [f"data.root={esc50}"]
    train_generators(load_profile(granularity, settings=[*settings, "generator.type=gaussian"]))
    assert run(*settings).final["accuracy"] > 1 / 15


def test_samples_are_worth_a_round(after_run_1) -> None:
    after_run_1("unified")
    settings = ["federation.rounds=1", "federation.local_epochs=3"]
    done = run(*settings, baselines=True)
    assert done.final["accuracy"] > done.baselines["fedavg"]["accuracy"]
    assert done.final["accuracy"] > done.baselines["none"]["accuracy"]


def test_the_same_seed_gives_the_same_bytes(after_run_1) -> None:
    after_run_1("per_class")
    first = {path.name: path.read_bytes() for path in run().adapters}
    again = {path.name: path.read_bytes() for path in run(force=True).adapters}
    other = {path.name: path.read_bytes() for path in run("experiment.seed=1", force=True).adapters}
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_a_saved_adapter_answers_like_the_run(after_run_1) -> None:
    after_run_1("unified")
    metadata, state = load_adapter(run().adapters[-1])
    assert (metadata.node_id, metadata.accuracy > 0, len(metadata.classes)) == (None, True, 15)
    for space, target in metadata.architecture["spaces"].items():
        adapter = Adapter(metadata.architecture["dim"], metadata.architecture["hidden"], tuple(target))
        names = [name for name, _ in adapter.named_parameters()]
        adapter.load_state_dict({name: state[f"{space}.{name}"] for name in names})
        assert adapter(torch.randn(2, 4, 768)).shape == (2, *target)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (["generator.granularity=per_class", "checkpoint.dir=checkpoints/generators"], "FA003"),
        (["generator.granularity=per_class"], "FA001"),
        (["checkpoint.base_name=other"], "FA002"),
        (["embedding.tokens=2"], "FA007"),
        (["generator.type=vae"], "FA014"),
    ],
)
def test_generators_that_do_not_match_are_refused(after_run_1, settings: list[str], code: str) -> None:
    after_run_1("unified")
    error = refusal(*settings)
    assert error.code == code
    assert (error.hint or "").startswith("feda2v ")


def test_a_node_without_generator_is_refused(after_run_1) -> None:
    (after_run_1("unified") / "vae_unified_node1.pt").unlink()
    assert refusal().code == "FA004"


def test_a_class_without_generator_is_refused(after_run_1) -> None:
    (after_run_1("per_class") / "vae_perclass_node1_class_rain.pt").unlink()
    assert refusal().code == "FA005"


def test_another_group_is_refused(after_run_1) -> None:
    after_run_1("per_group")
    groups = (
        'generator.groups={pets=["dog","rooster","pig","cow","frog"],'
        'nature=["rain","sea_waves","crackling_fire","crickets","chirping_birds"],'
        'mechanical=["helicopter","chainsaw","siren","car_horn","engine"]}'
    )
    assert refusal(groups).code == "FA006"


def test_a_damaged_generator_is_refused(after_run_1) -> None:
    path = after_run_1("unified") / "vae_unified_node2.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert refusal().code == "FA009"


def test_the_one_usable_set_is_taken(after_run_1, trained: Path) -> None:
    after_run_1("unified")
    shutil.copytree(trained / PLACES["per_class"], PLACES["per_class"])
    (Path(PLACES["per_class"]) / "vae_perclass_node1_class_rain.pt").unlink()
    assert run().synthetic["granularity"] == "unified"


@pytest.mark.usefixtures("empty")
def test_without_samples_no_checkpoint_is_looked_for() -> None:
    assert run("synthetic.per_class=0").synthetic["per_class"] == 0


@pytest.mark.usefixtures("empty")
def test_central_training_saves_one_adapter_and_needs_no_generators() -> None:
    assert [path.name for path in run("federation.strategy=central").adapters] == ["adapter_server.pt"]


@pytest.mark.usefixtures("empty")
def test_nodes_that_exchange_nothing_have_adapters_of_their_own_and_no_server() -> None:
    done = run("federation.strategy=none", "synthetic.per_class=0")
    assert [path.name for path in done.adapters] == [f"adapter_node{node}.pt" for node in range(3)]
    states = [load_adapter(path)[1]["clip.input.weight"] for path in done.adapters]
    assert not torch.equal(states[0], states[1])


@pytest.mark.parametrize(("settings", "error"), [([], MissingError), (["synthetic.per_class=0"], UsageError)])
def test_distillation_without_generators_fails_loudly(empty: Path, settings: list[str], error: type) -> None:
    with pytest.raises(error):
        run("federation.strategy=kd", *settings)
    assert list(empty.iterdir()) == []


@pytest.mark.usefixtures("empty")
def test_the_disk_figure_of_a_plan_is_right() -> None:
    plan = plan_federation(load_profile("use_pretrained", settings=[*QUICK, "synthetic.per_class=0"]))
    done = run("synthetic.per_class=0")
    assert sum(path.stat().st_size for path in done.adapters) == pytest.approx(plan.disk_bytes, rel=0.1)


@pytest.mark.usefixtures("empty")
def test_a_round_below_the_quorum_is_skipped_and_said() -> None:
    told: list[Event] = []
    done = run("federation.dropout=1.0", "synthetic.per_class=0", listener=told.append)
    assert done.skipped_rounds == [1, 2]
    assert [event.round for event in told if isinstance(event, RoundSkipped)] == [1, 2]


@pytest.mark.usefixtures("empty")
def test_a_quorum_that_cannot_be_reached_is_refused() -> None:
    with pytest.raises(UsageError, match="1 of 3 nodes are asked in a round"):
        run("federation.quorum=2", "federation.fraction=0.34")


def test_a_loss_that_is_not_a_number_leaves_nothing_behind(empty: Path) -> None:
    with pytest.raises(FailedError, match="node 1: the loss of the adapter to clip became NaN or infinite in round 1"):
        run("synthetic.per_class=0", "nodes.1.clip_learning_rate=1e30")
    assert list((empty / "checkpoints/adapters").iterdir()) == []
    assert json.loads(next(empty.glob("runs/*/run.json")).read_text())["status"] == "failed"


@pytest.mark.usefixtures("empty")
def test_the_confusion_matrix_is_kept() -> None:
    done = run("synthetic.per_class=0")
    summary = json.loads((done.run_dir / "summary.json").read_text())
    assert summary["classes"] == sorted(summary["classes"])
    assert [sum(row) for row in summary["confusion"]] == [8] * 15
    hits = sum(row[index] for index, row in enumerate(summary["confusion"]))
    assert summary["final"]["accuracy"] == hits / 120


@pytest.mark.usefixtures("empty")
def test_metrics_hold_every_round_and_every_evaluation() -> None:
    done = run("synthetic.per_class=0")
    events = [json.loads(line) for line in (done.run_dir / "metrics.jsonl").read_text().splitlines()]
    ended = [event["round"] for event in events if event["event"] == "federation_round_ended"]
    evaluated = [event["round"] for event in events if event["event"] == "evaluated"]
    assert (ended, evaluated) == ([1, 2], [1, 2])


@pytest.mark.usefixtures("empty")
def test_a_node_that_is_unknown_is_refused() -> None:
    with pytest.raises(UsageError, match="--nodes 7"):
        run("synthetic.per_class=0", node_ids=[7])


def test_some_nodes_can_federate_alone(after_run_1) -> None:
    after_run_1("unified")
    done = run(node_ids=[0, 2])
    assert done.final["node_accuracy"].keys() == {"0", "2"}
    assert done.synthetic["node_samples"] == {"0": 50, "2": 50}
    assert len(done.classes) == 10


@pytest.mark.parametrize(
    ("settings", "by_samples"),
    [
        (["federation.standardise=samples"], True),
        (["federation.strategy=one_shot"], True),
        (["federation.strategy=one_shot", "federation.standardise=clips"], False),
        ([], False),
    ],
)
def test_samples_standardise_in_place_of_clips_where_they_shall(after_run_1, settings, by_samples: bool) -> None:
    after_run_1("unified")
    done = run(*settings, 'adapter.spaces=["clip"]', "federation.rounds=1")
    _, state = load_adapter(done.adapters[-1])
    plan = plan_federation(load_profile("use_pretrained", settings=QUICK))
    expected = standardised_by_samples(makers(plan), plan.profile.experiment.seed)
    assert torch.equal(state["embedding.mean"], expected.mean) == by_samples
    assert torch.equal(state["embedding.scale"], expected.scale) == by_samples
    assert torch.allclose(state["embedding.mean"], expected.mean, atol=0.2 * float(expected.scale.max()))


def test_samples_that_are_not_drawn_standardise_nothing(after_run_1) -> None:
    after_run_1("unified")
    with pytest.raises(UsageError, match="this run uses no samples"):
        run("federation.standardise=samples", "synthetic.per_class=0")
