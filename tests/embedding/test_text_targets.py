import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_pipelines import tiny_clip, tiny_flux, tiny_sentence_encoder, tiny_stable_diffusion

from feda2v_cli.embedding.diffusion import open_pipeline
from feda2v_cli.embedding.target import Targets, TextSources, make_targets
from feda2v_cli.embedding.target_dictionary import write_dictionary
from feda2v_cli.errors import FailedError, MissingError, UsageError
from feda2v_cli.profile.schema import AdapterSection

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
CLASSES = ("dog", "sea_waves")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    tiny_flux(root / "flux")
    tiny_stable_diffusion(root / "sd")
    tiny_sentence_encoder(root / "sentences")
    tiny_clip(root / "clip")
    return root


def targets_of(models: Path, name: str, cache: Path | None = None, **keys: object) -> Targets:
    pipeline = name in ("flux", "sd")
    section = AdapterSection.model_validate(
        {"targets": "pipeline" if pipeline else str(models / name), "t5_tokens": 30, **keys}
    )
    return make_targets(section, CLASSES, TextSources(str(models / name) if pipeline else None, cache))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("flux", {"clip": (32,), "t5": (30, 32)}),
        ("sd", {"clip": (77, 32)}),
        ("sentences", {"text": (40,)}),
        ("clip", {"text": (24,)}),
    ],
)
def test_shapes_come_from_the_text_encoders(models: Path, name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    targets = targets_of(models, name)
    assert {space: tuple(values.shape[1:]) for space, values in targets.spaces.items()} == shapes


@pytest.mark.parametrize("name", ["flux", "sd"])
def test_targets_are_what_the_pipeline_itself_makes_of_the_prompt(models: Path, name: str) -> None:
    import diffusers

    kind = diffusers.FluxPipeline if name == "flux" else diffusers.StableDiffusionPipeline
    pipeline = kind.from_pretrained(models / name)
    prompt = "a photo of a sea waves"
    with torch.no_grad():
        if name == "flux":
            t5, pooled, _ = pipeline.encode_prompt(prompt, None, max_sequence_length=30)
            expected = {"t5": t5[0], "clip": pooled[0]}
        else:
            embedded, _ = pipeline.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)
            expected = {"clip": embedded[0]}
    spaces = targets_of(models, name).spaces
    for space, values in expected.items():
        assert torch.allclose(spaces[space][1], values, atol=1e-5)


def test_a_sentence_is_the_mean_over_its_tokens_at_unit_length(models: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(models / "sentences")("a photo of a dog", return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(models / "sentences")(**tokens).last_hidden_state
    expected = torch.nn.functional.normalize(states[0].mean(0), dim=0)
    assert torch.allclose(targets_of(models, "sentences").spaces["text"][0], expected, atol=1e-6)


def test_a_class_can_have_a_prompt_of_its_own(models: Path) -> None:
    usual = targets_of(models, "sentences")
    other = targets_of(models, "sentences", prompts={"dog": "a barking dog"})
    assert not torch.equal(usual.spaces["text"][0], other.spaces["text"][0])
    assert torch.equal(usual.spaces["text"][1], other.spaces["text"][1])
    assert usual.fingerprint != other.fingerprint


def test_targets_come_from_the_cache_when_the_encoder_cannot_be_loaded_any_more(models: Path, tmp_path: Path) -> None:
    first = targets_of(models, "sd", tmp_path / "cache")
    entries = list((tmp_path / "cache" / "targets").iterdir())
    assert len(entries) == len(CLASSES)
    assert targets_of(models, "sd", tmp_path / "cache").fingerprint == first.fingerprint
    entries[0].write_bytes(b"damaged")
    assert targets_of(models, "sd", tmp_path / "cache").fingerprint == first.fingerprint


@pytest.mark.parametrize(("name", "layout"), [("flux", "flux"), ("sd", "sd"), ("sentences", "text")])
def test_a_dictionary_gives_the_same_targets_without_the_encoder(
    models: Path, tmp_path: Path, name: str, layout: str
) -> None:
    made = targets_of(models, name)
    assert made.layout == layout
    write_dictionary(tmp_path / "targets.pt", CLASSES, made.spaces, layout, made.identity)
    read = make_targets(AdapterSection(targets=str(tmp_path / "targets.pt")), CLASSES)
    assert read.fingerprint == made.fingerprint


def test_a_dictionary_has_the_form_of_the_earlier_system(models: Path, tmp_path: Path) -> None:
    made = targets_of(models, "flux")
    write_dictionary(tmp_path / "targets.pt", CLASSES, made.spaces, "flux", made.identity)
    entry = torch.load(tmp_path / "targets.pt", weights_only=True)["sea_waves"]["flux"]
    assert tuple(entry["prompt_embeds"].shape) == (1, 30, 32)
    assert tuple(entry["pooled_prompt_embeds"].shape) == (1, 32)


def test_a_prompt_that_does_not_fit_is_told_and_not_cut_off(models: Path) -> None:
    with pytest.raises(UsageError, match=r"has 18 tokens, and adapter\.t5_tokens = 5") as failure:
        targets_of(models, "flux", t5_tokens=5)
    assert failure.value.hint == "--set adapter.t5_tokens=18"


def test_a_space_that_the_encoder_does_not_give_is_told(models: Path) -> None:
    with pytest.raises(UsageError, match="gives no target space t5"):
        targets_of(models, "sd", spaces=("clip", "t5"))


def test_a_pipeline_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    with pytest.raises(UsageError, match="is a StableDiffusionXLPipeline — expected FluxPipeline or Stable"):
        open_pipeline(str(tmp_path))


def test_a_pipeline_that_is_not_there_is_told_where_it_was_looked_for(models: Path) -> None:
    with pytest.raises(MissingError, match="no such directory") as failure:
        open_pipeline(str(models / "fluxx"))
    assert failure.value.details == (f"did you mean {models / 'flux'}?",)


def test_nothing_is_downloaded_unasked() -> None:
    with pytest.raises(MissingError, match="is not on this machine") as failure:
        open_pipeline("nobody/nothing-of-this-name")
    assert failure.value.hint is not None
    assert "--download" in failure.value.hint


def test_a_pipeline_without_text_encoders_makes_no_targets(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "sd", tmp_path / "sd")
    index = json.loads((tmp_path / "sd" / "model_index.json").read_text())
    (tmp_path / "sd" / "model_index.json").write_text(json.dumps(index | {"text_encoder": [None, None]}))
    with pytest.raises(MissingError, match="was saved without text_encoder"):
        targets_of(tmp_path, "sd")


def test_an_encoder_that_lacks_weights_is_refused(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(models / "sentences", tmp_path / "sentences")
    path = tmp_path / "sentences" / "model.safetensors"
    weights = load_file(path)
    weights.pop(next(name for name in weights if "attention.self.query.weight" in name))
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(FailedError, match="lacks weights of the model"):
        targets_of(tmp_path, "sentences")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("shape", [(32,), (1, 32), (77, 31)])
def test_what_stable_diffusion_would_take_in_silence_is_refused(models: Path, shape: tuple[int, ...]) -> None:
    pipeline = open_pipeline(str(models / "sd"))
    pipeline.check({"clip": (77, 32)}, "targets")
    with pytest.raises(UsageError, match=r"takes clip \[77, 32\] — targets have clip"):
        pipeline.check({"clip": shape}, "targets")


@pytest.mark.parametrize(
    "shapes",
    [
        {"clip": (32,)},
        {"clip": (32,), "t5": (1, 32)},
        {"clip": (1,), "t5": (17, 32)},
        {"clip": (32,), "t5": (513, 32)},
        {"text": (40,)},
    ],
)
def test_flux_needs_both_spaces_in_its_shapes(models: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    pipeline = open_pipeline(str(models / "flux"))
    pipeline.check({"clip": (32,), "t5": (17, 32)}, "targets")
    with pytest.raises(UsageError, match=r"takes clip \[32\], t5 \[2 to 512, 32\]"):
        pipeline.check(shapes, "targets")
