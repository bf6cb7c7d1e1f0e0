import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tomli
import torch

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.data.builtin import BuiltinClip, builtin_clips
from feda2v_cli.embedding.embed import embed
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.job.evaluate.run import Evaluation, evaluate
from feda2v_cli.job.train_generators.plan import plan_generators
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Event, Found
from feda2v_cli.run.record import RunRecord
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_checkpoint

pytestmark = pytest.mark.usefixtures("runs")

State = dict[str, torch.Tensor]
#: Two nodes of two classes each: as few as can be told apart.
NODES = 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]'

#: Tensors that say how far samples are from their mean.
SPREADING = ("model.loadings", "model.remainder", "projection.remainder")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Closed-form generators of two nodes."""
    directory = tmp_path_factory.mktemp("generators")
    settings = [NODES, "generator.type=gaussian", "checkpoint.every=0", f"experiment.runs='{directory}-runs'"]
    train_generators(load_profile("unified", settings=[*settings, f"checkpoint.dir='{directory}'"]))
    return directory


@pytest.fixture
def generators(trained: Path, tmp_path: Path) -> Path:
    """A copy of them that a test may damage."""
    directory = tmp_path / "generators"
    directory.mkdir()
    for path in trained.iterdir():
        if path.suffix == ".pt":
            (directory / path.name).write_bytes(path.read_bytes())
    return directory


@pytest.fixture(scope="module")
def evaluated(trained: Path) -> Evaluation:
    return evaluate(trained, draws=2)


def rewrite(directory: Path, change: Callable[[GeneratorMetadata, State], State]) -> None:
    """Change the tensors of every generator of a set, and nothing else."""
    for path in sorted(directory.glob("*.pt")):
        metadata, state = load_checkpoint(path)
        write_checkpoint(path, metadata, {name: tensor.clone() for name, tensor in change(metadata, state).items()})


def test_a_gaussian_is_sound_and_is_its_own_baseline(evaluated: Evaluation) -> None:
    assert evaluated.verdict.word == "sound"
    for figure in evaluated.overall.values():
        assert figure is not None
        if figure.baseline is not None:
            assert figure.value == pytest.approx(figure.baseline, rel=1e-3, abs=1e-3)


def test_nodes_folds_and_encoder_are_those_that_the_checkpoints_name(evaluated: Evaluation) -> None:
    assert (evaluated.trained, evaluated.held_out) == (4 * 32, 4 * 8)
    assert list(evaluated.per_class) == ["crickets", "dog", "rain", "siren"]


def test_a_value_lies_in_its_interval(evaluated: Evaluation) -> None:
    for figures in (evaluated.overall, *evaluated.per_class.values()):
        assert all(figure.low <= figure.value <= figure.high for figure in figures.values() if figure is not None)


def test_an_evaluation_is_a_run_with_its_result_and_a_map(evaluated: Evaluation, runs: Path) -> None:
    assert evaluated.run_dir.parent == runs
    assert evaluated.run_dir.name.endswith("-evaluate-unified")
    record = RunRecord.read(evaluated.run_dir)
    assert (record.state, record.kind) == ("done", "evaluate")
    kept = dict(record.summary)
    drawn = kept.pop("map")
    assert kept == json.loads(json.dumps(evaluated.to_dict()))
    assert {name: len(points) for name, points in drawn["clips"].items()} == dict.fromkeys(evaluated.per_class, 8)
    assert drawn["samples"].keys() == drawn["clips"].keys()


def test_the_profile_of_the_run_is_what_was_evaluated(evaluated: Evaluation) -> None:
    resolved = tomli.loads((evaluated.run_dir / "resolved.toml").read_text())
    assert [node["classes"] for node in resolved["nodes"]] == [["dog", "rain"], ["siren", "crickets"]]
    assert "# checkpoints" in (evaluated.run_dir / "resolved.toml").read_text()


def test_the_same_checkpoints_give_the_same_figures(evaluated: Evaluation, trained: Path) -> None:
    assert evaluate(trained, draws=2).overall == evaluated.overall


def test_draws_side_by_side_give_the_figures_of_one_after_the_other(evaluated: Evaluation, trained: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3 if before == 1 else 1)
    try:
        other = evaluate(trained, draws=2)
    finally:
        torch.set_num_threads(before)
    assert (other.overall, other.per_class) == (evaluated.overall, evaluated.per_class)


def test_a_collapsed_set_is_called_so(generators: Path) -> None:
    def collapse(_: GeneratorMetadata, state: State) -> State:
        return state | {name: 0.05 * state[name] for name in SPREADING}

    rewrite(generators, collapse)
    assert evaluate(generators, draws=2).verdict.word == "collapsed"


def test_a_set_with_shuffled_labels_is_called_off_class(generators: Path) -> None:
    def turn(_: GeneratorMetadata, state: State) -> State:
        return state | {f"model.{name}": state[f"model.{name}"].flip(0) for name in ("means", "loadings")}

    rewrite(generators, turn)
    found = evaluate(generators, draws=2).verdict
    assert found.word == "off-class"
    assert "a probe trained on samples names" in found.reasons[0]


def test_a_set_that_gives_one_training_clip_away_is_not_called_sound(generators: Path) -> None:
    """A generator cannot hold a list of clips; the nearest to copying is a Gaussian on top of one."""
    profile = load_profile("unified", settings=[NODES])
    plan = plan_generators(profile)
    planned = {node.spec.node: node for node in plan.generators}

    def copy(metadata: GeneratorMetadata, state: State) -> State:
        clips = planned[metadata.node_id].clips
        values = embed(clips, plan.encoder, Path(os.environ["FEDA2V_EMBEDDING_CACHE"])).values.flatten(1)
        first = [next(n for n, clip in enumerate(clips) if clip.class_name == c) for c in metadata.generator_classes]
        means = (values[first] - state["projection.mean"]) @ state["projection.axes"].T / state["projection.scale"]
        return state | {"model.means": means} | {name: 0.01 * state[name] for name in SPREADING}

    rewrite(generators, copy)
    found = evaluate(generators, draws=2)
    assert found.overall["memorised"].value > 0.95  # of a clip there is what lies in a few axes
    assert found.verdict.word == "collapsed"


def test_other_clips_than_those_that_trained_are_refused(generators: Path) -> None:
    profile = load_profile("unified", settings=[NODES, "data.train_folds=[1, 2]"])
    with pytest.raises(FindingsError) as refused:
        evaluate(generators, profile, profile_named="unified")
    assert refused.value.code == "FA016"
    assert "trained on 64 clips of builtin, which are not the 32 clips" in str(refused.value)


def test_permissive_only_warns_of_other_clips(generators: Path) -> None:
    profile = load_profile("unified", settings=[NODES, "data.train_folds=[1, 2]"])
    events: list[Event] = []
    evaluate(generators, profile, profile_named="unified", draws=2, permissive=True, listener=events.append)
    found = [event for event in events if isinstance(event, Found)]
    assert {event.code for event in found} == {"FA016"}
    assert all("(FA016)" in event.text and event.hint for event in found)


def test_a_set_that_was_trained_on_recordings_asks_for_them(generators: Path) -> None:
    for path in generators.glob("*.pt"):
        metadata, state = load_checkpoint(path)
        write_checkpoint(path, replace(metadata, dataset_name="esc50"), state)
    with pytest.raises(MissingError) as missing:
        evaluate(generators)
    assert missing.value.hint == f"feda2v evaluate {generators} --data-root DIR"


def test_clips_of_another_encoder_are_refused(generators: Path) -> None:
    profile = load_profile("unified", settings=[NODES, "embedding.seconds=2.0"])
    with pytest.raises(FindingsError) as refused:
        evaluate(generators, profile, profile_named="unified")
    assert refused.value.code == "FA007"


def test_where_there_is_no_set_the_command_that_trains_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError, match="no generators under checkpoints/"):
        evaluate()


def test_one_draw_gives_no_interval(generators: Path) -> None:
    with pytest.raises(UsageError, match="1 draws give no interval"):
        evaluate(generators, draws=1)


def test_samples_can_be_held_against_other_clips_than_the_folds_held_out(trained: Path) -> None:
    clips = [
        BuiltinClip(f"{name}-{take}.wav", name, 0, take=take) for name in ("dog", "siren") for take in (40, 41, 42)
    ]
    evaluated = evaluate(trained, draws=2, held_out=clips)
    assert evaluated.held_out == 6
    assert evaluated.per_class["dog"]["tstr"] is not None
    assert evaluated.per_class["rain"]["tstr"] is None


@pytest.mark.parametrize(
    "clip",
    [next(clip for clip in builtin_clips() if clip.class_name == "dog"), BuiltinClip("cow-40.wav", "cow", 0, take=40)],
)
def test_clips_that_can_test_nothing_are_refused(trained: Path, clip: BuiltinClip) -> None:
    with pytest.raises(UsageError, match=f"{clip.name} trained the generators, or is of none of their classes"):
        evaluate(trained, draws=2, held_out=[clip])


def test_no_clip_to_test_with_is_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="no clip to test with"):
        evaluate(trained, draws=2, held_out=[])


def test_a_draw_can_have_more_samples_than_clips_trained(trained: Path) -> None:
    evaluated = evaluate(trained, draws=2, samples_per_clip=3)
    assert len(evaluated.points.samples.labels) == 3 * evaluated.trained


def test_no_sample_at_all_is_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="0 samples a clip"):
        evaluate(trained, draws=2, samples_per_clip=0)


def test_nodes_that_make_the_same_class_give_a_part_of_its_samples_each(tmp_path: Path) -> None:
    settings = [
        'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["dog", "siren"]}]',
        "generator.type=gaussian",
        "checkpoint.every=0",
        f"checkpoint.dir='{tmp_path}/generators'",
        f"experiment.runs='{tmp_path}/runs'",
    ]
    train_generators(load_profile("unified", settings=settings))
    evaluated = evaluate(tmp_path / "generators", draws=2)
    assert evaluated.trained == 3 * 32
    assert len(evaluated.points.samples.labels) == 3 * 32
