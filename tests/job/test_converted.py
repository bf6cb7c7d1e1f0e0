"""Configurations of the earlier system, run on the data that they name: converted, trained, verified, federated."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_layouts import write_esc50, write_esc50_folds, write_vegas, write_vggsound
from legacy_configurations import (
    Configuration,
    adapters,
    esc50_nodes,
    generators,
    vegas_nodes,
    vggsound_nodes,
    with_generators,
)
from model_samples import write_ast
from tiny_pipelines import tiny_flux

from feda2v_cli.data.nodes import clips_of_nodes
from feda2v_cli.errors import MissingError, ProfileError
from feda2v_cli.job.evaluate.run import evaluate
from feda2v_cli.job.federate.plan import plan_federation
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.legacy.config.convert import convert
from feda2v_cli.legacy.config.read import read_text
from feda2v_cli.legacy.config.write import profile_text
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.verify import verify

VEGAS = ("dog", "drum")
#: Nodes of each kind, and the names of their classes.
NODES: dict[str, Configuration] = {
    "official": esc50_nodes(["dog"], ["rain"]),
    "folds": esc50_nodes(["dog"], ["rain"]),
    "vegas": vegas_nodes(VEGAS, VEGAS),
    "vggsound": vggsound_nodes(["dog_barking"], ["playing_piano"]),
    "mixed": esc50_nodes(["dog"], ["rain"]) | {"2": vegas_nodes(VEGAS, VEGAS, VEGAS)["2"]},
}


@pytest.fixture(scope="session")
def ast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AST with random weights, so small that it is quick."""
    return write_ast(tmp_path_factory.mktemp("models") / "ast")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The data sets that configurations name, each in its layout."""
    place = tmp_path_factory.mktemp("converted")
    return {
        "official": write_esc50(place / "ESC-50"),
        "folds": write_esc50_folds(place / "esc50"),
        "vegas": write_vegas(place / "VEGAS", VEGAS, 45),
        "vggsound": write_vggsound(place / "VGGSound", ("dog_barking", "playing_piano"), 15),
    }


Converted = Callable[..., LoadedProfile]


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Path], ast: Path) -> Converted:
    """Converts a configuration and loads it, in a directory where data lie as the earlier system had them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("VEGAS", "VGGSound", "ESC-50"):
        (tmp_path / "data" / name).symlink_to(data["official"].parent / name)

    def load(
        configuration: Configuration,
        kind: str,
        *settings: str,
        name: str = "new.toml",
        nodes: Configuration | None = None,
    ) -> LoadedProfile:
        whole = configuration | {"nodes": nodes or NODES[kind]}
        Path(name).write_text(profile_text(convert(read_text(json.dumps(whole), "old.json")), name))
        # The weights, and the window of this small one, are what such a machine lacks.
        given = [f"embedding.encoder={ast}", "embedding.seconds=0.5", *settings]
        if kind in ("official", "folds"):
            given.append(f"data.root={data[kind]}")
        return load_profile(name, settings=given, environment={})

    return load


@pytest.mark.parametrize("kind", NODES)
def test_a_converted_configuration_trains_verifies_and_federates(kind: str, converted: Converted) -> None:
    run_1 = converted(generators(), kind, "generator.type=gaussian", name="run1.toml")
    trained = train_generators(run_1)
    assert not any(found.is_error for found in verify([], Expectation.from_profile(run_1, "run1.toml")).findings)
    run_2 = converted(with_generators(), kind, "generator.type=gaussian")
    assert not any(found.is_error for found in verify([], Expectation.from_profile(run_2, "new.toml")).findings)
    done = federate(run_2)
    assert done.synthetic["generators"] == len(trained.checkpoints)
    assert done.final["accuracy"] > 0
    assert done.adapters == (), "the file keeps none"


@pytest.mark.parametrize("mode", ["avg", "none", "weighted_average", "kd"])
def test_every_way_of_aggregation_runs(mode: str, converted: Converted) -> None:
    settings = ("embedding.tokens=2", "generator.type=gaussian")
    train_generators(converted(generators(), "vegas", *settings, name="run1.toml"))
    done = federate(converted(with_generators(adapter_aggregation_mode=mode, kd_training_epochs=1), "vegas", *settings))
    assert done.strategy == {"avg": "fedavg", "weighted_average": "fedavg"}.get(mode, mode)


@pytest.mark.parametrize("mode", ["kd", "weighted_average"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_node_whose_adapters_take_the_class_token_alone_shares_samples_with_the_others(
    mode: str, earlier: bool, converted: Converted
) -> None:
    nodes = esc50_nodes(["dog"], ["rain"], ["dog", "rain"])
    nodes["1"]["use_cls_token_only"] = True
    old = with_generators(adapter_aggregation_mode=mode, kd_training_epochs=1)
    epochs = ("federation.rounds=6", "federation.local_epochs=5", "federation.server_epochs=5")
    loaded = converted(old, "official", "generator.type=gaussian", *epochs, nodes=nodes)
    assert [loaded.profile.tokens_of(node) for node in loaded.profile.nodes] == ["all", "cls", "all"]

    # Whose generators come from a file that trains no adapters, all make all tokens, as they did.
    run_1 = converted(generators(), "official", "generator.type=gaussian", name="run1.toml", nodes=nodes)
    trained = train_generators(run_1 if earlier else loaded)
    report = verify([], Expectation.from_profile(loaded, "new.toml"))
    assert not any(found.is_error for found in report.findings)
    done = federate(loaded)
    assert done.synthetic["generators"] == len(trained.checkpoints) == 4
    assert done.synthetic["node_samples"] == dict(zip("012", (0, 0, 0) if mode == "kd" else (4, 4, 0), strict=True))
    assert done.synthetic["server_samples"] == (8 if mode == "kd" else 0)
    assert done.final["accuracy"] >= 0.5
    of, named = (run_1, "run1.toml") if earlier else (loaded, "new.toml")
    evaluated = evaluate(loaded.profile.generator_dir, of, profile_named=named, draws=2)
    assert evaluated.per_class.keys() == {"dog", "rain"}


def test_adapters_that_were_to_be_loaded_are_evaluated_and_stay(converted: Converted) -> None:
    trained = federate(converted(adapters(adapter_save_checkpoint=True), "official"))
    before = [path.read_bytes() for path in trained.adapters]
    loaded = federate(converted(adapters(adapter_load_checkpoint=True), "official", name="load.toml"))
    assert (loaded.final["accuracy"], loaded.adapters) == (trained.final["accuracy"], ())
    assert before == [path.read_bytes() for path in trained.adapters]


def test_images_are_made_in_the_rounds_that_the_file_names(converted: Converted, tmp_path: Path) -> None:
    pipeline = tiny_flux(tmp_path / "flux")
    settings = (f"images.pipeline={pipeline}", "images.size=32", "adapter.t5_tokens=20")
    old = adapters(generate_global_images_frequency=2, save_generated_images_splits=["test"])
    done = federate(converted(old, "vegas", *settings))
    assert [path.name for path in (done.run_dir / "images").iterdir()] == ["round_2"]
    made = {path.name for path in (done.run_dir / "images" / "round_2" / "server").iterdir()}
    assert len(made) == 2, "a clip of each class"


@pytest.mark.parametrize("kind", NODES)
def test_the_dry_run_of_all_tokens_passes(kind: str, converted: Converted) -> None:
    plan = plan_federation(converted(adapters(), kind))
    assert plan.encoder.identity["tokens"] == "all"
    assert plan.nodes


def test_blocks_of_nodes_share_no_clip(converted: Converted) -> None:
    first, second = clips_of_nodes(converted(adapters(), "vegas").profile)
    mine, theirs = ({*node.train, *node.val, *node.test} for node in (first, second))
    assert len(mine) == len(theirs) == 30, "fifteen of each class"
    assert not mine & theirs


def test_vegas_is_not_taken_from_esc_50(converted: Converted, data: dict[str, Path]) -> None:
    loaded = converted(adapters(), "vegas", f"data.root={data['official']}")
    with pytest.raises(MissingError, match="holds no directory with a video_info"):
        clips_of_nodes(loaded.profile)


def test_a_data_root_is_not_taken_for_a_node_of_another_data_set(converted: Converted, data: dict[str, Path]) -> None:
    loaded = converted(adapters(), "mixed", f"data.root={data['official']}")
    Path("data/VEGAS").unlink()
    with pytest.raises(MissingError) as refused:
        clips_of_nodes(loaded.profile)
    assert "nodes.2.root" in str(refused.value)
    assert refused.value.hint == "--set nodes.2.root=DIR"


def test_esc_50_is_not_taken_from_vegas(converted: Converted, data: dict[str, Path]) -> None:
    loaded = converted(adapters(), "mixed", f"data.root={data['vegas']}")
    with pytest.raises(MissingError, match="meta/esc50"):
        clips_of_nodes(loaded.profile)


def test_esc_50_may_lie_in_the_earlier_folders_beside_another_data_set(
    converted: Converted, data: dict[str, Path]
) -> None:
    nodes = clips_of_nodes(converted(adapters(), "mixed", f"data.root={data['folds']}").profile)
    assert [node.dataset.name for node in nodes] == ["esc50_folds", "esc50_folds", "vegas"]


def test_two_nodes_with_the_same_block_are_refused() -> None:
    nodes: dict[str, Any] = vegas_nodes(VEGAS, VEGAS)
    nodes["1"]["node_split_id"] = 0
    with pytest.raises(ProfileError) as refused:
        convert(read_text(json.dumps(adapters() | {"nodes": nodes}), "old.json"))
    assert "nodes.1" in str(refused.value)
