"""Both runs and what follows them on data of other layouts, with splits and blocks: they speak of the same clips."""

from pathlib import Path
from typing import Any

import pytest
from audio_pictures import make_gallery
from data_layouts import write_esc50_folds, write_vegas, write_vggsound

from feda2v_cli.checkpoint.file import load_content
from feda2v_cli.checkpoint.metadata import AdapterMetadata
from feda2v_cli.data.nodes import clips_of_nodes
from feda2v_cli.errors import MissingError
from feda2v_cli.job.evaluate.run import evaluate
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.images.plan import ImagesRequest, plan_images
from feda2v_cli.job.train_generators.run import train_generators
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import Warned
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.verify import verify

PROFILE = """
[data]
train_ratio = 0.7
val_ratio = 0.1
[generator]
type = "gaussian"
fewest_clips = 2
[federation]
rounds = 2
evaluate_every = 2
local_epochs = 1
[[nodes]]
id = 0
classes = ["dog", "drum"]
root = "VEGAS"
block = { size = 10, id = 0, seed = 42 }
[[nodes]]
id = 1
classes = ["dog"]
dataset = "vegas"
root = "VEGAS"
block = { size = 10, id = 1, seed = 42 }
[[nodes]]
id = 2
classes = ["rain"]
root = "old"
[[nodes]]
id = 3
classes = ["frog"]
root = "VGG"
clips_per_class = 5
"""
GENERATORS = Path("checkpoints/generators")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_vegas(Path("VEGAS"), ("dog", "drum"), 20, takes=1)
    write_esc50_folds(Path("old"), ("rain",), 10)
    write_vggsound(Path("VGG"), ("frog",), 10, gone=1)
    Path("mine.toml").write_text(PROFILE)
    return tmp_path


def told(*settings: str) -> list[str]:
    """What the verifier says of the generators, but that they tell their few clips."""
    expectation = Expectation.from_profile(loaded(*settings), "mine.toml")
    findings = verify([GENERATORS], expectation).findings
    return [f"{finding.code} {finding.message}" for finding in findings if finding.code != "FA022"]


def loaded(*settings: str) -> LoadedProfile:
    return load_profile("mine.toml", settings=settings)


@pytest.mark.usefixtures("here")
def test_nodes_of_four_layouts_train_verify_federate_and_are_evaluated_on_the_same_clips() -> None:
    heard: list[Any] = []
    train_generators(loaded(), listener=heard.append)
    warnings = [event.text for event in heard if isinstance(event, Warned) and "VGG" in event.text]
    assert warnings == ["left out 1 of the 11 clips of VGG/vggsound.csv: their audio is not there"]

    assert told() == []
    federated = federate(loaded())
    assert federated.final["accuracy"] >= 0
    adapter = load_content(Path("checkpoints/adapters/adapter_node1.pt"), AdapterMetadata)[0].metadata
    assert (adapter.dataset_name, adapter.train_folds) == ("vegas", ())
    assert adapter.split == {
        "split": "ratio", "train_ratio": 0.7, "val_ratio": 0.1, "test_ratio": 0.2, "split_seed": 0,
        "block": {"size": 10, "start": 10, "seed": 42},
    }  # fmt: skip

    server = load_content(Path("checkpoints/adapters/adapter_server.pt"), AdapterMetadata)[0].metadata
    assert server.dataset_name == "vegas, esc50_folds, vggsound"
    make_gallery(Path("gallery"))
    shipped = load_profile("unified", settings=["images.gallery='gallery'"])
    with pytest.raises(MissingError) as refused:
        plan_images(shipped, ImagesRequest(), tell=heard.append, warn=heard.append)
    assert "(esc50_folds, vegas, vggsound)" in refused.value.title
    assert refused.value.hint == "-p PROFILE, or --audio FILE"
    own = loaded("images.gallery='gallery'", 'images.splits=["test"]', "images.per_class=9")
    pictured = plan_images(own, ImagesRequest(), tell=heard.append, warn=heard.append).chosen
    assert {clip for clip, *_ in pictured} == {clip for node in clips_of_nodes(own.profile) for clip in node.test}

    evaluated = evaluate(GENERATORS, loaded(), profile_named="mine.toml", draws=2)
    assert (evaluated.trained, evaluated.held_out) == (21 + 8 + 4, 6 + 2 + 1)


@pytest.mark.usefixtures("here")
def test_generators_of_another_split_or_block_are_told() -> None:
    train_generators(loaded())
    vegas = "was trained on clips by ratio 0.7 / 0.1 / 0.2 of seed 0, block size 10, start"
    seed = " ".join(told("data.split_seed=1"))
    assert f"FA016 {vegas} 0, seed 42; profile mine.toml asks for ratio 0.7 / 0.1 / 0.2 of seed 1, block size" in seed
    (block,) = told("nodes.1.block={size=5, id=3, seed=42}")
    assert told("nodes.1.block={size=10, start=10, seed=42}") == []
    assert f"FA016 {vegas} 10, seed 42; profile mine.toml asks for" in block
    (limit,) = told("nodes.3.clips_per_class=6")
    assert "official of seed 0, at most 5 clips a class; " in limit
    assert told("data.test_folds=[4]", "data.train_folds=[1,2,3,5]")[0].startswith(
        "FA016 was trained on folds 1, 2, 3, 4"
    )


@pytest.mark.usefixtures("here")
def test_a_set_is_evaluated_without_a_profile_on_the_split_and_blocks_that_it_names() -> None:
    nodes = (
        'nodes=[{id=0, classes=["dog", "drum"], block={size=8, id=0}}, {id=1, classes=["dog"], block={size=8, id=1}}]'
    )
    own = loaded("data.root='VEGAS'", nodes, "data.split_seed=3")
    train_generators(own)

    unnamed = load_profile("unified", settings=["data.root='VEGAS'"])
    evaluated = evaluate(GENERATORS, unnamed, draws=2)
    assert evaluated.trained == sum(len(node.train) for node in clips_of_nodes(own.profile))
    other = loaded("data.root='VEGAS'", nodes, "data.split_seed=4")
    with pytest.raises(FindingsError, match="are not the"):
        evaluate(GENERATORS, other, profile_named="mine.toml", draws=2)
