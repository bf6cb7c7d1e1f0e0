from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from feda2v_cli.errors import MissingError, ProfileError, UsageError
from feda2v_cli.job.federate.run import Federated, federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import Event, FederationRoundEnded
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_adapter

QUICK = ("federation.rounds=2", "federation.local_epochs=1", "federation.evaluate_every=1")
NODES = """
[generator]
type = "gaussian"
granularity = "per_class"
[[nodes]]
id = 0
classes = ["dog", "rain"]
[[nodes]]
id = 1
classes = ["rain"]
"""
#: The same classes, trained by nodes of another numbering: one per class, far away.
OTHERS = """
[generator]
type = "gaussian"
granularity = "per_class"
[[nodes]]
id = 7
classes = ["rain", "siren"]
[[nodes]]
id = 9
classes = ["dog"]
"""


@pytest.fixture(scope="session")
def generators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generators of dog, rain and siren that nodes 7 and 9 have trained."""
    directory = tmp_path_factory.mktemp("others")
    (directory / "others.toml").write_text(OTHERS)
    settings = [f"checkpoint.dir={directory}/made", f"experiment.runs={directory}/runs", "checkpoint.every=0"]
    train_generators(load_profile(str(directory / "others.toml"), settings=settings))
    return directory / "made"


@pytest.fixture(autouse=True)
def _in_a_directory_with_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(NODES)


def mine(*settings: str) -> LoadedProfile:
    return load_profile("mine.toml", settings=[*QUICK, *settings])


def run(*settings: str, force: bool = True, **options: object) -> Federated:
    return federate(mine("synthetic.per_class=0", *settings), force=force, **options)  # type: ignore[arg-type]


def adapter_of(done: Federated, space: str) -> Tensor:
    _, state = load_adapter(done.adapters[-1])
    names = sorted(name for name in state if name.startswith(space) and "target" not in name)
    return torch.cat([state[name].flatten() for name in names])


def changed(one: Sequence[str], other: Sequence[str]) -> set[str]:
    """The target spaces whose adapters differ between two runs."""
    first = run(*one)
    adapters = {space: adapter_of(first, space) for space in ("clip", "t5")}
    second = run(*other)
    return {space for space, flat in adapters.items() if not torch.equal(flat, adapter_of(second, space))}


@pytest.mark.parametrize(
    ("setting", "space"),
    [
        ("adapter.clip_schedule=constant", "clip"),
        ("adapter.t5_schedule=constant", "t5"),
        ("adapter.clip_weight_decay=0.5", "clip"),
        ("adapter.t5_weight_decay=0.5", "t5"),
    ],
)
def test_a_key_of_one_target_space_leaves_the_other_as_it_was(setting: str, space: str) -> None:
    assert changed([], [setting]) == {space}


@pytest.mark.parametrize("key", ["schedule", "weight_decay"])
def test_two_keys_of_the_spaces_do_what_the_key_of_all_does(key: str) -> None:
    value = "constant" if key == "schedule" else "0.5"
    apart = [f"adapter.{space}_{key}={value}" for space in ("clip", "t5")]
    assert changed([f"adapter.{key}={value}"], apart) == set()


def test_nodes_that_count_alike_make_another_average_than_their_clips() -> None:
    assert changed([], ["federation.weighting=equal"]) == {"clip", "t5"}


def test_adapters_need_not_be_kept() -> None:
    done = run("checkpoint.save_adapters=false", "federation.strategy=none")
    assert (done.adapters, done.final["accuracy"] > 0) == ((), True)
    assert not Path("checkpoints").exists()
    again = federate(
        mine("synthetic.per_class=0", "checkpoint.save_adapters=false", "federation.strategy=none"), resume=True
    )
    assert again.run_dir == done.run_dir


@pytest.mark.parametrize("strategy", ["fedavg", "none", "kd", "one_shot", "central"])
def test_adapters_of_every_strategy_are_evaluated_as_they_are(generators: Path, strategy: str) -> None:
    settings = [
        f"federation.strategy={strategy}",
        f"checkpoint.dir={generators}",
        "synthetic.match=class",
        "adapter.hidden=24",
    ]
    trained = federate(mine(*settings))
    before = {path: path.read_bytes() for path in trained.adapters}
    loaded = run("federation.rounds=0", "checkpoint.load_adapters=checkpoints/adapters")
    assert loaded.final == trained.final
    assert [row["round"] for row in loaded.rounds] == [0]
    assert before == {
        path: path.read_bytes() for path in Path("checkpoints/adapters").iterdir() if path.suffix == ".pt"
    }


def test_an_evaluation_alone_is_done_once() -> None:
    run()
    settings = ["federation.rounds=0", "checkpoint.load_adapters=checkpoints/adapters"]
    done = run(*settings, force=False)
    assert run(*settings, force=False, resume=True).run_dir == done.run_dir
    run("experiment.seed=1")
    assert run(*settings, force=False, resume=True).run_dir != done.run_dir, "they are other adapters now"


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        (["federation.rounds=0"], ProfileError, "checkpoint.load_adapters"),
        (["checkpoint.load_adapters=checkpoints/adapters"], ProfileError, "--rounds 0"),
        (["federation.rounds=0", "checkpoint.load_adapters=elsewhere"], MissingError, "no adapters there"),
        (["federation.rounds=0", "embedding.tokens=2"], FindingsError, "encoder"),
        (["federation.rounds=0", "adapter.shapes=flux"], UsageError, "other targets"),
        (["federation.rounds=0", "adapter.spaces=['clip']"], UsageError, "other targets"),
    ],
)
def test_adapters_that_cannot_be_evaluated_are_refused(settings: list[str], kind: type[Exception], words: str) -> None:
    run()
    load = ["checkpoint.load_adapters=checkpoints/adapters"] if kind in (FindingsError, UsageError) else []
    with pytest.raises(kind) as refused:
        run(*load, *settings)
    assert words in " ".join([str(refused.value), str(getattr(refused.value, "hint", ""))])


def test_adapters_of_other_classes_are_refused() -> None:
    run()
    Path("mine.toml").write_text(NODES.replace('"dog"', '"cow"'))
    with pytest.raises(UsageError, match="other classes"):
        run("federation.rounds=0", "checkpoint.load_adapters=checkpoints/adapters")


def test_a_node_whose_own_adapters_are_missing_is_told() -> None:
    run("federation.strategy=none")
    Path("checkpoints/adapters/adapter_node1.pt").unlink()
    with pytest.raises(MissingError, match="node 1 has none"):
        run("federation.rounds=0", "checkpoint.load_adapters=checkpoints/adapters")


def test_generators_stand_for_their_classes_whatever_node_trained_them(generators: Path) -> None:
    settings = [f"checkpoint.dir={generators}"]
    with pytest.raises(FindingsError) as refused:
        federate(mine(*settings))
    assert (refused.value.hint or "").startswith("--set synthetic.match=class ")
    done = federate(mine(*settings, "synthetic.match=class"))
    # Node 0 holds both classes and needs no samples; node 1 lacks the dogs. Nobody asks for the siren.
    assert done.synthetic["node_samples"] == {"0": 0, "1": 10}
    assert done.synthetic["generators"] == 2


def test_a_class_that_no_generator_makes_is_refused(generators: Path) -> None:
    Path("mine.toml").write_text(NODES.replace('"dog"', '"cow"'))
    with pytest.raises(FindingsError) as refused:
        federate(mine(f"checkpoint.dir={generators}", "synthetic.match=class"))
    assert (refused.value.code, "cow" in str(refused.value)) == ("FA005", True)


def test_a_run_with_all_of_these_keys_goes_on_where_it_was_stopped(generators: Path) -> None:
    settings = [
        f"checkpoint.dir={generators}",
        "synthetic.match=class",
        "federation.weighting=equal",
        "adapter.clip_schedule=constant",
        "adapter.t5_weight_decay=0.5",
    ]
    whole = federate(mine(*settings, "checkpoint.adapter_dir=whole"))

    def stop(event: Event) -> None:
        if isinstance(event, FederationRoundEnded):
            raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017, PT011 - as Ctrl-C ends it
        federate(mine(*settings), listener=stop)
    resumed = federate(mine(*settings), resume=True)
    assert [path.name for path in resumed.adapters] == [path.name for path in whole.adapters]
    for space in ("clip", "t5"):
        assert torch.equal(adapter_of(resumed, space), adapter_of(whole, space))
