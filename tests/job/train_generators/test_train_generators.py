import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from patience import SECONDS
from small_trainings import QUICK, loaded, names, tensors, trained

from feda2v_cli.errors import FailedError, OverwriteError, UsageError
from feda2v_cli.generator.rebuild import rebuild
from feda2v_cli.job.train_generators.plan import plan_generators
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Event, Warned
from feda2v_cli.verifier.single import load_checkpoint

ANIMALS = ["dog", "rooster", "pig", "cow", "frog"]

#: Two clips of a class in a fold are enough to see what happens.
FEW = "generator.fewest_clips=1"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_unified_writes_one_checkpoint_a_node(esc50: Path) -> None:
    trained("unified", f"data.root='{esc50}'")
    assert names("checkpoints/generators") == [f"vae_unified_node{node}.pt" for node in (0, 1, 2)]


def test_per_class_writes_one_checkpoint_a_class(esc50: Path) -> None:
    trained("per_class", f"data.root='{esc50}'")
    found = names("checkpoints/generators_per_class")
    assert len(found) == 15
    assert [name for name in found if "node0" in name] == sorted(
        f"vae_perclass_node0_class_{name}.pt" for name in ANIMALS
    )


def test_per_group_writes_one_checkpoint_a_group_that_a_node_holds(esc50: Path) -> None:
    trained("per_group", f"data.root='{esc50}'")
    assert names("checkpoints/generators_per_group") == [
        "vae_group_node0_group_animals.pt",
        "vae_group_node1_group_nature.pt",
        "vae_group_node2_group_mechanical.pt",
    ]


def test_a_node_with_classes_of_two_groups_writes_one_checkpoint_a_group() -> None:
    trained("per_group", 'nodes.0.classes=["dog", "rain", "cow"]', node_ids=[0])
    assert names("checkpoints/generators_per_group") == [
        "vae_group_node0_group_animals.pt",
        "vae_group_node0_group_nature.pt",
    ]


def test_ten_rounds_write_the_fifth_and_the_tenth_beside_the_final_one() -> None:
    trained("unified", "generator.rounds=10", "checkpoint.every=5", node_ids=[0])
    assert names("checkpoints/generators") == [
        "vae_unified_node0.pt",
        "vae_unified_node0_round_10.pt",
        "vae_unified_node0_round_5.pt",
    ]


def test_a_node_may_override_granularity_group_train_classes_and_learning_rate() -> None:
    trained(
        "per_class",
        "nodes.0.granularity=unified",
        'nodes.1.train_classes=["rain"]',
        "nodes.1.learning_rate=0.01",
        "nodes.2.granularity=per_group",
        "nodes.2.group=machines",
    )
    assert names("checkpoints/generators_per_class") == [
        "vae_perclass_node0.pt",
        "vae_perclass_node1_class_rain.pt",
        "vae_perclass_node2_group_machines.pt",
    ]
    metadata, _ = load_checkpoint(Path("checkpoints/generators_per_class/vae_perclass_node1_class_rain.pt"))
    assert metadata.optimiser["learning_rate"] == 0.01


@pytest.mark.parametrize("profile", ["unified", "per_class", "per_group"])
@pytest.mark.parametrize("kind", ["vae", "gaussian"])
def test_a_generator_is_rebuilt_from_its_file_alone_and_draws_labelled_samples(profile: str, kind: str) -> None:
    result = trained(profile, f"generator.type={kind}", node_ids=[0])
    for saved in result.checkpoints:
        metadata, state = load_checkpoint(saved.path)
        generator = rebuild(metadata.architecture, metadata.generator_classes, state)
        samples = generator.sample(generator.classes, seed=1)
        assert samples.shape == (len(saved.classes), 4, 768)
        assert torch.isfinite(samples).all()
        assert torch.equal(samples, generator.sample(generator.classes, seed=1))


def test_samples_are_in_the_embedding_s_own_units() -> None:
    from feda2v_cli.embedding.embed import embed

    profile = loaded("per_class")
    result = train_generators(profile, node_ids=[1])
    planned = plan_generators(profile, [1])
    for generator, saved in zip(planned.generators, result.checkpoints, strict=True):
        metadata, state = load_checkpoint(saved.path)
        clips = embed(generator.clips, planned.encoder, planned.profile.embedding.cache).values
        samples = rebuild(metadata.architecture, metadata.generator_classes, state).sample([saved.key or ""] * 64)
        assert (samples.mean(0) - clips.mean(0)).norm() < 0.5 * clips.std(0).norm()
        assert float(samples.std(0).norm()) == pytest.approx(float(clips.std(0).norm()), rel=0.2)


def test_every_file_loads_with_weights_only() -> None:
    for saved in trained("per_group").checkpoints:
        content = torch.load(saved.path, weights_only=True)
        assert content["metadata"]["generator_classes"] == list(saved.classes)


def test_the_same_seed_gives_the_same_bytes_whatever_the_stack_s_width() -> None:
    trained("per_class", "checkpoint.dir=wide")
    trained("per_class", "checkpoint.dir=narrow", "experiment.memory=1KB")
    wide, narrow = tensors("wide"), tensors("narrow")
    assert wide.keys() == narrow.keys()
    for name, value in wide.items():
        torch.testing.assert_close(value, narrow[name], rtol=1e-5, atol=1e-7)


def test_the_same_profile_and_seed_give_the_same_bytes() -> None:
    trained("unified", "checkpoint.dir=one")
    trained("unified", "checkpoint.dir=two")
    assert all(torch.equal(value, tensors("two")[name]) for name, value in tensors("one").items())


def test_a_node_s_generators_do_not_depend_on_the_other_nodes() -> None:
    trained("unified", "checkpoint.dir=all")
    trained("unified", "checkpoint.dir=alone", node_ids=[1])
    for name, value in tensors("alone").items():
        torch.testing.assert_close(value, tensors("all")[name], rtol=1e-5, atol=1e-7)


def test_another_seed_gives_other_bytes() -> None:
    trained("unified", "checkpoint.dir=one", node_ids=[0])
    trained("unified", "checkpoint.dir=two", "experiment.seed=1", node_ids=[0])
    one, two = tensors("one"), tensors("two")
    assert any(not torch.equal(value, two[name]) for name, value in one.items())


def test_clips_of_different_numbers_and_nodes_of_different_sizes_train_together(esc50: Path) -> None:
    profile = loaded("unified", f"data.root='{esc50}'", 'nodes.0.classes=["dog"]', "data.train_folds=[1]", FEW)
    result = train_generators(profile)
    assert [len(saved.classes) for saved in result.checkpoints] == [1, 5, 5]


def test_the_run_directory_tells_what_was_run_and_what_happened() -> None:
    result = trained("unified", node_ids=[0])
    run = json.loads((result.run_dir / "run.json").read_text())
    assert run["status"] == "done"
    assert {"torch", "feda2v", "python"} <= run["versions"].keys()
    events = [json.loads(line) for line in (result.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] == "round_ended"] == ["round_ended"] * 2
    assert json.loads((result.run_dir / "summary.json").read_text())["granularity"] == "unified"
    assert load_profile(str(result.run_dir / "resolved.toml")).profile.generator.rounds == 2
    assert "built-in sounds" in (result.run_dir / "log.txt").read_text()


def test_checkpoints_that_are_there_are_not_overwritten() -> None:
    trained("unified", node_ids=[0])
    before = Path("checkpoints/generators/vae_unified_node0.pt").read_bytes()
    with pytest.raises(OverwriteError, match="1 checkpoint is there already"):
        trained("unified", node_ids=[0])
    assert Path("checkpoints/generators/vae_unified_node0.pt").read_bytes() == before


def test_force_overwrites() -> None:
    trained("unified", node_ids=[0])
    result = trained("unified", "generator.rounds=3", node_ids=[0], force=True)
    assert load_checkpoint(result.checkpoints[0].path)[0].round == 3


def test_resuming_a_run_that_is_done_gives_its_result_again() -> None:
    first = trained("unified", node_ids=[0])
    again = trained("unified", node_ids=[0], resume=True)
    assert again.run_dir == first.run_dir
    assert again.checkpoints == first.checkpoints


def test_a_loss_that_is_not_finite_stops_the_run_and_saves_nothing_of_its_round() -> None:
    with pytest.raises(FailedError) as error:
        trained("unified", "generator.learning_rate=1e30", "generator.epochs=5", "checkpoint.every=1", node_ids=[0])
    assert "node 0: the loss became nan in round 1" in str(error.value)
    assert "learning rate" in str(error.value)
    assert names("checkpoints/generators") == []


def test_unreadable_clips_can_be_left_out_and_are_listed(esc50: Path, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "damaged"
    shutil.copytree(esc50, root)
    victim = sorted((root / "audio").glob("1-*-A-4.wav"))[0]
    victim.write_bytes(b"no sound at all")
    with pytest.raises(FailedError, match=victim.name):
        trained("unified", f"data.root='{root}'")
    heard: list[Event] = []
    trained("unified", f"data.root='{root}'", "data.skip_unreadable=true", listener=heard.append)
    assert any(victim.name in event.text for event in heard if isinstance(event, Warned))


def test_what_the_plan_says_of_disk_is_what_the_run_writes() -> None:
    profile = loaded("per_group", "checkpoint.every=1")
    plan = plan_generators(profile)
    result = train_generators(profile)
    assert sorted(plan.files) == sorted(saved.path for saved in result.checkpoints)
    assert sum(saved.bytes for saved in result.checkpoints) == pytest.approx(plan.disk_bytes, rel=0.05)
    assert [saved.parameters for saved in result.checkpoints if saved.final] == [
        planned.parameters for planned in plan.generators
    ]


LIMITED = """
import resource, sys
from pathlib import Path
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import RunStarted, StackNarrowed

def hear(event):
    if isinstance(event, RunStarted):
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + 1_200_000_000,) * 2)
    if isinstance(event, StackNarrowed):
        print(event.width)

settings = [*sys.argv[1:], "generator.hidden=1536"]
train_generators(load_profile("per_class", settings=settings), listener=hear)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit is set by what Linux tells")
def test_a_full_stack_is_narrowed_when_memory_runs_out() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, *QUICK], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "8"
    assert len(names("checkpoints/generators_per_class")) == 15


def test_the_generators_of_some_keys_are_trained_alone_and_are_those_of_the_whole_run() -> None:
    trained("per_class")
    whole = tensors("checkpoints/generators_per_class")
    before = {path: path.read_bytes() for path in Path("checkpoints/generators_per_class").iterdir()}
    alone = trained("per_class", keys=["dog", "rain"], force=True)
    assert [(saved.node, saved.key) for saved in alone.checkpoints] == [(0, "dog"), (1, "rain")]
    changed = [path.name for path, content in before.items() if path.read_bytes() != content]
    assert sorted(changed) == ["vae_perclass_node0_class_dog.pt", "vae_perclass_node1_class_rain.pt"]
    assert all(torch.equal(value, whole[name]) for name, value in tensors("checkpoints/generators_per_class").items())
    metadata, _ = load_checkpoint(Path("checkpoints/generators_per_class/vae_perclass_node0_class_dog.pt"))
    assert set(metadata.expected_keys) == set(ANIMALS)


@pytest.mark.parametrize(("profile", "keys"), [("per_class", ["dgo"]), ("unified", ["dog"]), ("per_class", [])])
def test_a_key_that_no_generator_has_is_refused_before_anything_is_done(profile: str, keys: list[str]) -> None:
    with pytest.raises(UsageError, match="--keys"):
        trained(profile, keys=keys)
    assert list(Path().iterdir()) == []


def test_checkpoints_say_which_run_wrote_them_and_that_all_of_a_node_saw_the_same_clips() -> None:
    result = trained("per_class", node_ids=[0])
    seen = [load_checkpoint(saved.path)[0] for saved in result.checkpoints]
    assert {metadata.run_directory for metadata in seen} == {str(result.run_dir.absolute())}
    assert len({metadata.node_fingerprint for metadata in seen}) == 1
    assert len({metadata.dataset_fingerprint for metadata in seen}) == 5


CORES = """
import sys, torch
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile

torch.set_num_threads(int(sys.argv[1]))
train_generators(load_profile("unified", settings=sys.argv[2:]))
"""


def test_a_run_has_the_same_bits_on_any_number_of_cores() -> None:
    for cores in ("1", "3"):
        settings = [*QUICK, f"checkpoint.dir='{cores}'"]
        subprocess.run([sys.executable, "-c", CORES, cores, *settings], check=True)
    one, three = tensors("1"), tensors("3")
    assert one.keys() == three.keys() != set()
    assert all(torch.equal(value, three[name]) for name, value in one.items())


def test_counts_of_clips_are_told_as_multiples_where_they_shall_be(esc50: Path) -> None:
    done = trained("per_class", f"data.root='{esc50}'", "generator.type=gaussian", "checkpoint.round_counts=10")
    metadata, _ = load_checkpoint(done.checkpoints[0].path)
    assert set(metadata.samples_per_class.values()) == {10}
    assert metadata.counts_rounded_to == 10
