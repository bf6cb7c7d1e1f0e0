"""Embeddings of other tokens than four, through RUN 1 and RUN 2: all of AST's, its class token, nodes that differ."""

from pathlib import Path

import pytest
import torch
from data_layouts import write_esc50
from model_samples import write_ast

from feda2v_cli.errors import RunInterrupted, UsageError
from feda2v_cli.job.audit import audit
from feda2v_cli.job.compare.run import compare
from feda2v_cli.job.evaluate.run import evaluate
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import load_profile
from feda2v_cli.run.event import Event, FederationRoundEnded
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_adapter, load_checkpoint, load_generator
from feda2v_cli.verifier.verify import verify

PROFILE = """
[data]
root = "data"

[embedding]
seconds = 1.0
cache = "cache"
{embedding}

[generator]
type = "gaussian"

[checkpoint]
dir = "generators"
adapter_dir = "adapters"
every = 0

[adapter]
spaces = ["clip"]

[federation]
rounds = 2
local_epochs = 1
evaluate_every = 1

[[nodes]]
id = 0
classes = ["dog"]

[[nodes]]
id = 1
classes = ["rain"]
{node}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDA2V_EMBEDDING_CACHE", "cache")
    write_esc50(tmp_path / "data", per_class=10)
    return tmp_path


def written(embedding: str, node: str = "") -> str:
    Path("mine.toml").write_text(PROFILE.format(embedding=embedding, node=node))
    return "mine.toml"


def federated(profile: str, *settings: str, **options: bool) -> float:
    done = federate(load_profile(profile, settings=["generator.granularity=auto", *settings]), force=True, **options)
    accuracy: float = done.final["accuracy"]
    return accuracy


def test_all_tokens_of_ast_go_through_both_runs(place: Path) -> None:
    pytest.importorskip("transformers")
    write_ast(place / "ast", max_length=1024, mel_bins=128)
    profile = written('encoder = "./ast"\ntokens = "all"\ncache_dtype = "float16"')

    trained = train_generators(profile)
    assert 0 <= federated(profile) <= 1

    path = trained.checkpoints[0].path
    assert load_generator(path).sample(["dog"]).shape == (1, 1214, 32)
    metadata, _ = load_checkpoint(path)
    assert metadata.encoder["tokens"] == "all"
    adapter, _ = load_adapter(Path("adapters/adapter_server.pt"))
    assert (adapter.embedding_shape, adapter.encoder["tokens"]) == ((1214, 32), "all")
    (embeddings,) = place.glob("cache/ast-*/embeddings.bin")
    assert embeddings.stat().st_size == 20 * (64 + 2 * 1214 * 32)


def test_the_class_token_of_ast_goes_through_both_runs(place: Path) -> None:
    pytest.importorskip("transformers")
    write_ast(place / "ast")
    profile = written('encoder = "./ast"\ntokens = "cls"')

    train_generators(profile)

    assert 0 <= federated(profile) <= 1
    assert evaluate(Path("generators"), load_profile(profile), draws=2).generators
    assert load_adapter(Path("adapters/adapter_node0.pt"))[0].embedding_shape == (1, 32)


@pytest.mark.usefixtures("place")
def test_what_is_rounded_is_the_same_when_it_is_made_and_when_it_is_read() -> None:
    profile = written('tokens = "all"\ncache_dtype = "bfloat16"')
    first, second = (
        [load_generator(saved.path).state() for saved in train_generators(profile, force=True).checkpoints]
        for _ in range(2)
    )
    assert all(torch.equal(one[name], two[name]) for one, two in zip(first, second, strict=True) for name in one)


@pytest.mark.usefixtures("place")
def test_nodes_with_tokens_of_their_own_have_generators_and_adapters_of_them() -> None:
    profile = written("", "tokens = 2")

    trained = train_generators(profile)
    assert federated(profile, "synthetic.per_class=0") >= 0.5

    shapes = [load_generator(saved.path).shape for saved in trained.checkpoints]
    assert shapes == [(4, 768), (2, 768)]
    adapters = [load_adapter(Path(f"adapters/adapter_node{node}.pt"))[0].embedding_shape for node in (0, 1)]
    assert adapters == shapes


@pytest.mark.usefixtures("place")
def test_nodes_that_all_have_the_same_tokens_of_their_own_do_not_differ() -> None:
    text = PROFILE.format(embedding="", node="tokens = 2").replace("id = 0", "id = 0\ntokens = 2")
    Path("mine.toml").write_text(text)
    loaded = load_profile("mine.toml")

    train_generators(loaded)

    assert federated("mine.toml") >= 0.5
    server, _ = load_adapter(Path("adapters/adapter_server.pt"))
    assert (server.embedding_shape, server.encoder["tokens"]) == ((2, 768), 2)
    assert evaluate(Path("generators"), loaded, profile_named="mine.toml", draws=2).generators
    report = verify([Path("generators"), Path("adapters")], Expectation.from_profile(loaded, "mine.toml"))
    assert "FA007" not in [finding.code for finding in report.findings]
    again = ["checkpoint.load_adapters=adapters", "federation.rounds=0", "checkpoint.save_adapters=false"]
    assert federated("mine.toml", *again) >= 0.5


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("strategy", ["none", "median", "per_class_average"])
def test_nodes_that_differ_train_with_strategies_that_exchange_adapters(strategy: str) -> None:
    profile = written("", "tokens = 2")
    assert federated(profile, "synthetic.per_class=0", f"federation.strategy={strategy}") >= 0.5


def test_generators_of_nodes_that_differ_are_what_their_profile_asks_for_and_no_other_would_be(place: Path) -> None:
    profile = written("", "tokens = 2")
    train_generators(profile)

    def codes(text: str) -> list[str]:
        loaded = load_profile(written("", text))
        report = verify([place / "generators"], Expectation.from_profile(loaded, "mine.toml"))
        return [finding.code for finding in report.findings if finding.is_error]

    assert codes("tokens = 2") == []
    assert codes("") == ["FA007"]
    assert codes("tokens = 3") == ["FA007"]
    assert not [finding for finding in verify([place / "generators"]).findings if finding.is_error]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("fedavg", ["synthetic.use=['local','server']", "synthetic.refresh='once'"]),
        ("kd", []),
        ("one_shot", []),
        ("central", []),
        ("fedyogi", ["synthetic.match='class'"]),
    ],
)
def test_nodes_that_differ_train_on_each_others_samples(strategy: str, settings: list[str]) -> None:
    profile = written("", "tokens = 2")
    train_generators(profile)

    assert federated(profile, f"federation.strategy={strategy}", "federation.local_epochs=3", *settings) >= 0.5


@pytest.mark.usefixtures("place")
def test_nodes_that_differ_have_baselines_and_their_adapters_can_be_evaluated_again() -> None:
    profile = written("", "tokens = 2")
    train_generators(profile)
    auto = "generator.granularity=auto"

    first = federate(load_profile(profile, settings=[auto]), baselines=True)

    assert first.baselines.keys() == {"none", "fedavg", "central", "one_shot"}
    for file in ("adapters", "adapters/adapter_server.pt"):
        again = [f"checkpoint.load_adapters={file}", "federation.rounds=0", "checkpoint.save_adapters=false"]
        second = federate(load_profile(profile, settings=[auto, *again]))
        assert second.confusion == first.confusion


@pytest.mark.usefixtures("place")
def test_adapters_of_nodes_that_exchange_nothing_can_be_evaluated_again() -> None:
    profile = written("", "tokens = 2")
    first = federate(load_profile(profile, settings=["synthetic.per_class=0", "federation.strategy=none"]))

    again = ["checkpoint.load_adapters=adapters", "federation.rounds=0", "checkpoint.save_adapters=false"]
    second = federate(load_profile(profile, settings=again))

    assert second.confusion == first.confusion
    with pytest.raises(FindingsError, match="encoder tokens 2; the profile asks for tokens 3"):
        federate(load_profile(written("", "tokens = 3"), settings=again))


@pytest.mark.usefixtures("place")
def test_a_run_of_nodes_that_differ_goes_on_where_it_was_stopped_with_the_same_bits() -> None:
    profile = written("", "tokens = 2")
    train_generators(profile)
    settings = ["generator.granularity=auto", "federation.strategy=kd"]
    whole = federate(load_profile(profile, settings=settings))
    states = [load_checkpoint_state(path) for path in whole.adapters]

    def stop(event: Event) -> None:
        if isinstance(event, FederationRoundEnded):
            raise RunInterrupted("stopped")

    with pytest.raises(RunInterrupted):
        federate(load_profile(profile, settings=settings), force=True, listener=stop)
    resumed = federate(load_profile(profile, settings=settings), resume=True)

    again = [load_checkpoint_state(path) for path in resumed.adapters]
    assert all(one[name].equal(two[name]) for one, two in zip(states, again, strict=True) for name in one)


def load_checkpoint_state(path: Path) -> dict[str, torch.Tensor]:
    return load_adapter(path)[1]


@pytest.mark.usefixtures("place")
def test_generators_of_nodes_that_differ_are_evaluated_within_their_kinds_and_attacked() -> None:
    profile = load_profile(written("", "tokens = 2"))
    train_generators(profile)
    asked = {"profile": profile, "profile_named": "mine.toml"}

    found = evaluate(Path("generators"), **asked, draws=2)
    of_checkpoints = evaluate(Path("generators"), load_profile("unified", settings=["data.root=data"]), draws=2)

    assert (found.overall, found.per_class) == (of_checkpoints.overall, of_checkpoints.per_class)
    assert found.per_class.keys() == {"dog", "rain"}
    for name in ("recall", "precision", "spread"):
        values = [figures[name].value for figures in found.per_class.values()]
        assert found.overall[name].value == pytest.approx(sum(values) / 2, rel=1e-3)  # a class in each kind
    assert found.overall["tstr"] is None  # within its kind a class is alone
    assert {len(points) for points in found.summary()["map"]["clips"].values()} == {found.held_out // 2}
    assert audit(Path("generators"), **asked).generators == 2


def test_granularities_of_nodes_that_differ_are_compared_where_a_kind_has_two_classes(place: Path) -> None:
    groups = '[generator.groups]\nfirst = ["dog", "cow"]\nsecond = ["rain"]\n'
    text = PROFILE.format(embedding="", node="tokens = 2") + groups
    Path("mine.toml").write_text(text.replace('classes = ["dog"]', 'classes = ["dog", "cow"]'))
    write_esc50(place / "data", ["dog", "rain", "cow"], per_class=10)

    done = compare("mine.toml", output="comparison", rounds=1, picture=False, side_by_side=1)

    assert [row.granularity for row in done.rows] == ["unified", "per_class", "per_group"]
    with pytest.raises(UsageError, match="no two classes have embeddings of as many"):
        compare(written("", "tokens = 2"), output="other")
