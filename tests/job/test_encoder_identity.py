"""Wherever embeddings meet what was trained on embeddings, the encoders are one: by weights, not by names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from model_samples import write_ast

from feda2v_cli.checkpoint.file import write_checkpoint
from feda2v_cli.errors import MissingError
from feda2v_cli.job.audit import Audit, audit
from feda2v_cli.job.evaluate.run import Evaluation, evaluate
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.single import load_adapter, load_checkpoint
from feda2v_cli.verifier.verify import verify

NODES = 'nodes=[{id=0, classes=["dog", "rain"]}, {id=1, classes=["siren", "crickets"]}]'


def profile_of(directory: Path, encoder: Path | str, *settings: str) -> LoadedProfile:
    return load_profile(
        "unified",
        settings=[
            NODES,
            "generator.type=gaussian",
            "checkpoint.every=0",
            "embedding.seconds=2.0",
            f"embedding.encoder='{encoder}'",
            f"experiment.runs='{directory}/runs'",
            f"checkpoint.dir='{directory}/generators'",
            f"checkpoint.adapter_dir='{directory}/adapters'",
            "federation.rounds=1",
            "federation.evaluate_every=1",
            *settings,
        ],
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the model `ast`, another of the same form, and generators and adapters of the first."""
    directory = tmp_path_factory.mktemp("encoders")
    write_ast(directory / "ast")
    write_ast(directory / "other" / "ast", seed=1)
    profile = profile_of(directory, directory / "ast")
    train_generators(profile)
    federate(profile)
    return directory


def test_a_checkpoint_says_which_encoder_and_how_the_profile_named_it(place: Path) -> None:
    metadata, _ = load_checkpoint(place / "generators/vae_unified_node0.pt")
    adapter, _ = load_adapter(place / "adapters/adapter_server.pt")

    assert metadata.encoder["name"] == "ast"
    assert metadata.encoder["source"] == str(place / "ast")
    assert adapter.encoder == metadata.encoder


def test_the_same_weights_in_another_directory_are_the_same_encoder(place: Path, tmp_path: Path) -> None:
    write_ast(tmp_path / "renamed")
    profile = profile_of(place, tmp_path / "renamed")

    assert verify([], Expectation.from_profile(profile, "mine")).findings == ()
    assert evaluate(place / "generators", profile, profile_named="mine", draws=2).trained == 128
    federate(profile, force=True)


def test_other_weights_are_refused_by_verify_federate_and_evaluate(place: Path) -> None:
    profile = profile_of(place, place / "other" / "ast")

    assert [finding.code for finding in verify([], Expectation.from_profile(profile, "mine")).findings] == ["FA007"]
    with pytest.raises(FindingsError, match="trained on embeddings of encoder ast with weights"):
        federate(profile, force=True)
    with pytest.raises(FindingsError, match="trained on embeddings of encoder ast with weights"):
        evaluate(place / "generators", profile, profile_named="mine")
    with pytest.raises(FindingsError, match="trained on embeddings of encoder ast with weights") as caught:
        evaluate(place / "generators", profile)
    assert "--set embedding.encoder=DIR" in str(caught.value.hint)


def test_adapters_of_other_weights_are_not_those_of_the_profile(place: Path) -> None:
    profile = profile_of(place, place / "other" / "ast")

    report = verify([place / "adapters"], Expectation.from_profile(profile, "mine"))

    found = [finding for finding in report.findings if finding.path.endswith(".pt")]
    assert {finding.code for finding in found} == {"FA007"}
    assert str(found[0].hint).startswith("feda2v federate --profile mine")


def test_a_model_is_not_mistaken_for_the_built_in_encoder_of_its_name(tmp_path: Path) -> None:
    write_ast(tmp_path / "melstats")
    train_generators(profile_of(tmp_path, tmp_path / "melstats"))

    found = verify([], Expectation.from_profile(profile_of(tmp_path, "melstats"), "mine")).findings

    assert [finding.code for finding in found] == ["FA007"]


def test_the_model_of_a_profile_that_is_not_here_is_missing_and_is_not_fetched(place: Path) -> None:
    with pytest.raises(MissingError, match="nobody/no-such-model is not on this machine"):
        Expectation.from_profile(profile_of(place, "nobody/no-such-model"), "mine")


def copy_without_source(place: Path, target: Path) -> Path:
    """The generators as an earlier version of this package would have written them."""
    target.mkdir()
    for path in sorted((place / "generators").glob("*.pt")):
        metadata, state = load_checkpoint(path)
        encoder = {key: value for key, value in metadata.encoder.items() if key != "source"}
        write_checkpoint(target / path.name, replace(metadata, encoder=encoder), state)
    return target


@pytest.mark.parametrize("command", [evaluate, audit])
def test_a_checkpoint_that_does_not_say_where_its_encoder_lies_asks_for_it(
    command: Callable[..., Evaluation | Audit], place: Path, tmp_path: Path
) -> None:
    generators = copy_without_source(place, tmp_path / "generators")

    with pytest.raises(
        MissingError, match="was trained on embeddings of ast, and does not say where that lies"
    ) as caught:
        command(generators)
    assert caught.value.hint == f"feda2v {command.__name__} {generators} --set embedding.encoder=DIR"


def test_a_checkpoint_that_does_not_say_where_its_encoder_lies_takes_it_by_name(place: Path, tmp_path: Path) -> None:
    generators = copy_without_source(place, tmp_path / "generators")
    named = load_profile("use_pretrained", settings=[f"embedding.encoder='{place / 'ast'}'"])
    assert evaluate(generators, named, draws=2).trained == 128


def test_a_checkpoint_whose_encoder_has_moved_asks_for_it(tmp_path: Path) -> None:
    write_ast(tmp_path / "before")
    train_generators(profile_of(tmp_path, tmp_path / "before"))
    (tmp_path / "before").rename(tmp_path / "after")

    with pytest.raises(MissingError, match="no such directory") as caught:
        evaluate(tmp_path / "generators")
    assert "--set embedding.encoder=DIR" in str(caught.value.hint)
    named = load_profile("use_pretrained", settings=[f"embedding.encoder='{tmp_path / 'after'}'"])
    assert evaluate(tmp_path / "generators", named, draws=2).trained == 128
