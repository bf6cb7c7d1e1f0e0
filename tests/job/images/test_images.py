"""From sounds to pictures, with tiny pipelines that are laid out as real ones."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from audio_pictures import CLASSES, make_gallery, profile_file
from tiny_pipelines import tiny_clip, tiny_flux, tiny_sentence_encoder, tiny_stable_diffusion

from feda2v_cli.errors import FailedError, MissingError, OverwriteError, UsageError
from feda2v_cli.image.picture import read_origin
from feda2v_cli.job.federate.run import federate
from feda2v_cli.job.images.plan import ImagesRequest
from feda2v_cli.job.images.run import Pictures, images
from feda2v_cli.profile.load import LoadedProfile, load_profile
from feda2v_cli.run.event import Event, Noted, Warned
from feda2v_cli.verifier.single import load_adapter

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny_flux(root / "flux")
    tiny_stable_diffusion(root / "sd")
    tiny_stable_diffusion(root / "other", seed=7)
    tiny_sentence_encoder(root / "sentences")
    tiny_clip(root / "clip")
    make_gallery(root / "gallery")
    return root


def profile_of(models: Path, place: Path, targets: str, *settings: str) -> LoadedProfile:
    """The profile of a run whose adapters learn what a tiny model makes."""
    known = {
        "flux": ["adapter.targets=pipeline", f"images.pipeline='{models}/flux'", "adapter.t5_tokens=30"],
        "sd": ["adapter.targets=pipeline", f"images.pipeline='{models}/sd'"],
        "sentences": [f"adapter.targets='{models}/sentences'", f"images.gallery='{models}/gallery'"],
    }
    return load_profile(
        str(profile_file(place)),
        settings=[
            f"experiment.runs='{place}/runs'",
            f"checkpoint.adapter_dir='{place}/adapters'",
            f"embedding.cache='{place}/cache'",
            *known[targets],
            *settings,
        ],
    )


@pytest.fixture(scope="module")
def federated(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`federated(targets)` is a directory with the adapters of a run, made once."""
    made: dict[str, Path] = {}

    def directory(targets: str) -> Path:
        if targets not in made:
            made[targets] = tmp_path_factory.mktemp(targets)
            federate(profile_of(models, made[targets], targets))
        return made[targets]

    return directory


def pictures(models: Path, place: Path, targets: str, output: Path, *settings: str, **request: Any) -> Pictures:
    return images(profile_of(models, place, targets, *settings), ImagesRequest(output=output, **request))


@pytest.mark.parametrize("targets", ["flux", "sd"])
def test_held_out_clips_become_pictures_by_adapters_and_by_true_targets(
    models: Path, federated: Callable[[str], Path], tmp_path: Path, targets: str
) -> None:
    done = pictures(models, federated(targets), targets, tmp_path / "out", score=str(models / "clip"))

    assert done.made == 8
    listed = json.loads((tmp_path / "out" / "images.json").read_text())
    assert {one["source"] for one in listed["pictures"]} == {"adapter", "target"}
    assert {one["class"] for one in listed["pictures"]} == set(CLASSES)
    assert listed["score"].keys() == {"adapter", "target", "shuffled"}
    first = tmp_path / "out" / listed["pictures"][0]["file"]
    origin = read_origin(first)
    assert origin is not None
    assert {"clip", "class", "node", "adapter", "pipeline", "seed", "steps"} <= origin.keys()
    assert done.contact_sheet.is_file()


def test_two_pipelines_are_never_in_memory_at_once(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    from transformers import CLIPTextModel, T5EncoderModel

    place = federated("flux")
    profile = profile_of(models, place, "flux", f"embedding.cache='{tmp_path}/empty'")
    beside: list[int] = []

    def listen(event: Event) -> None:
        if isinstance(event, Noted) and event.text.startswith("pictures: "):  # the pipeline is loaded now
            gc.collect()
            beside.append(sum(isinstance(one, CLIPTextModel | T5EncoderModel) for one in gc.get_objects()))

    images(profile, ImagesRequest(output=tmp_path / "out", classes=("dog",)), listener=listen)
    assert beside == [0]


def test_a_gallery_finds_pictures_and_says_how_often_they_are_right(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    done = pictures(models, federated("sentences"), "sentences", tmp_path / "out")
    assert done.gallery["target"]["recall_at_1"] == 1.0
    assert done.gallery["adapter"].keys() == done.gallery["target"].keys()
    assert done.gallery["adapter"]["chance_at_1"] == 0.25
    listed = json.loads((tmp_path / "out" / "images.json").read_text())
    assert len(listed["pictures"][0]["nearest"]) == 5


def test_a_run_that_was_killed_makes_what_is_missing_with_the_same_bytes(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    place = federated("sd")
    out = tmp_path / "out"
    words = ["images", "-p", str(place / "pictures.toml"), "--pipeline", str(models / "sd"), "--per-class", "3"]
    for key, name in {
        "experiment.runs": "runs",
        "checkpoint.adapter_dir": "adapters",
        "embedding.cache": "cache",
    }.items():
        words += ["-s", f"{key}='{place}/{name}'"]
    feda2v = [str(Path(sys.executable).with_name("feda2v")), *words, "-o", str(out)]
    whole = tmp_path / "whole"
    subprocess.run([*feda2v[:-1], str(whole)], check=True)
    running = subprocess.Popen(feda2v, stderr=subprocess.DEVNULL)
    while running.poll() is None and len(list(out.rglob("*.png"))) < 5:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert 5 <= len(list(out.rglob("*.png"))) < 24
    refused = subprocess.run(feda2v, capture_output=True, text=True)
    assert refused.returncode == 4
    assert "--resume makes what is missing" in refused.stderr
    subprocess.run([*feda2v, "--resume"], check=True, env=os.environ)
    for path in whole.rglob("*.png"):
        assert (out / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_pictures_are_made_every_few_rounds_of_a_federation(models: Path, tmp_path: Path) -> None:
    settings = ("images.every=2", "federation.rounds=3", "images.nodes=true")
    done = federate(profile_of(models, tmp_path, "sd", *settings))
    rounds = sorted(path.name for path in (done.run_dir / "images").iterdir())
    assert rounds == ["round_2", "round_3"]
    listed = json.loads((done.run_dir / "images" / "round_2" / "images.json").read_text())["pictures"]
    assert {one["node"] for one in listed if one["source"] == "adapter"} == {"server", "0", "1"}
    events = [json.loads(line) for line in (done.run_dir / "metrics.jsonl").read_text().splitlines()]
    assert sum(one["event"] == "picture_made" for one in events) == 2 * (4 + 4 + 4)


def test_pictures_are_made_of_what_each_node_hears_where_nodes_differ_in_their_tokens(
    models: Path, tmp_path: Path
) -> None:
    nodes = ("images.nodes=true", "nodes.0.tokens=2", "nodes.1.tokens=3")
    done = federate(profile_of(models, tmp_path, "sentences", "images.every=2", *nodes))
    made = pictures(models, tmp_path, "sentences", tmp_path / "out", *nodes)

    in_round = json.loads((done.run_dir / "images" / "round_2" / "images.json").read_text())["pictures"]

    def nearest(listed: list[dict[str, Any]], source: str) -> dict[tuple[str, str], Any]:
        return {(one["clip"], one["node"]): one["nearest"] for one in listed if one["source"] == source}

    assert {one["node"] for one in in_round if one["source"] == "adapter"} == {"server", "0", "1"}
    assert nearest(made.pictures, "adapter") == nearest(in_round, "adapter")
    assert made.retrieval is not None
    dog = tmp_path / "dog.wav"
    soundfile.write(dog, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    own = pictures(models, tmp_path, "sentences", tmp_path / "own", *nodes, audio=(dog,), source="adapters")
    assert [one["node"] for one in own.pictures] == ["server", "0", "1"]


def test_pictures_change_nothing_of_what_is_trained(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    federate(profile_of(models, tmp_path, "sd", "images.every=1", "images.nodes=true"))
    for path in (federated("sd") / "adapters").glob("*.pt"):
        _, with_pictures = load_adapter(tmp_path / "adapters" / path.name)
        for name, values in load_adapter(path)[1].items():
            assert torch.equal(with_pictures[name], values)


def test_a_pipeline_that_cannot_be_loaded_is_told_before_the_first_round(models: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(models / "sd", tmp_path / "models" / "sd")
    weights = next((tmp_path / "models" / "sd" / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:3000])
    heard: list[str] = []
    with pytest.raises(FailedError, match="cannot be loaded"):
        federate(
            profile_of(tmp_path / "models", tmp_path, "sd", "images.every=1"),
            listener=lambda event: heard.append(event.kind),
        )
    assert "federation_round_ended" not in heard


def test_adapters_that_learned_other_targets_are_refused_unless_forced(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    place = federated("sd")
    other = f"images.pipeline='{models}/other'"
    with pytest.raises(UsageError, match="were trained on other targets"):
        pictures(models, place, "sd", tmp_path / "out", other)
    heard: list[Event] = []
    images(
        profile_of(models, place, "sd", other),
        ImagesRequest(output=tmp_path / "out", force=True, classes=("dog",)),
        listener=heard.append,
    )
    assert any(isinstance(event, Warned) and "do not show what adapters have learned" in event.text for event in heard)


def test_adapters_whose_spaces_the_pipeline_does_not_take_are_refused(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"flux.* takes clip \[32\], t5 \[2 to 512, 32\] — the adapters of"):
        pictures(models, federated("sd"), "sd", tmp_path / "out", f"images.pipeline='{models}/flux'", force=True)


def test_files_of_one_s_own_become_pictures_without_a_class(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    import soundfile

    sound = torch.randn(16000, generator=torch.Generator().manual_seed(0)).numpy()
    soundfile.write(tmp_path / "mine.wav", 0.1 * sound, 16000)
    place = federated("sd")
    done = pictures(models, place, "sd", tmp_path / "out", audio=(tmp_path / "mine.wav",), source="adapters")
    (one,) = done.pictures
    assert one["heard"] in CLASSES
    assert one["class"] == ""
    with pytest.raises(MissingError, match="no such file"):
        pictures(models, place, "sd", tmp_path / "out2", audio=(tmp_path / "mime.wav",))


def test_a_class_without_a_held_out_clip_is_told(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--classes dgo — the data has no such class"):
        pictures(models, federated("sd"), "sd", tmp_path / "out", classes=("dgo",))


def test_pictures_that_are_there_are_not_overwritten(
    models: Path, federated: Callable[[str], Path], tmp_path: Path
) -> None:
    pictures(models, federated("sd"), "sd", tmp_path / "out", classes=("dog",))
    with pytest.raises(OverwriteError, match="holds pictures already"):
        pictures(models, federated("sd"), "sd", tmp_path / "out", classes=("dog",))


def test_without_adapters_the_next_command_is_named(models: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no adapters there") as failure:
        pictures(models, tmp_path, "sd", tmp_path / "out")
    assert failure.value.hint == "feda2v federate"


def test_a_run_without_pictures_imports_neither_diffusers_nor_transformers(tmp_path: Path) -> None:
    path = profile_file(tmp_path)
    code = (
        "import sys\n"
        "from feda2v_cli.job.federate.run import federate\n"
        "from feda2v_cli.job.train_generators.run import train_generators\n"
        f"train_generators({str(path)!r})\n"
        f"federate({str(path)!r})\n"
        "assert not {'diffusers', 'transformers', 'PIL', 'accelerate'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


def test_where_there_are_no_adapters_the_hint_trains_them_there(models: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError) as refused:
        pictures(models, tmp_path, "sentences", tmp_path / "out", adapters=tmp_path / "mine")
    assert refused.value.hint == f"feda2v federate --checkpoint-dir {tmp_path}/mine"


def test_adapters_of_codes_have_no_gallery_and_the_hint_says_how_they_would(models: Path, tmp_path: Path) -> None:
    federate(profile_of(models, tmp_path, "sentences", "adapter.targets=codes"))
    with pytest.raises(UsageError, match=r"adapter\.targets is codes") as refused:
        pictures(models, tmp_path, "sentences", tmp_path / "out", "adapter.targets=codes")
    assert refused.value.hint is not None
    assert refused.value.hint.startswith("feda2v federate --set adapter.targets=DIR")
