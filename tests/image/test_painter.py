import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_pipelines import tiny_flux, tiny_stable_diffusion

from feda2v_cli.embedding.diffusion import open_pipeline
from feda2v_cli.errors import FailedError, UsageError
from feda2v_cli.image.painter import Painter, refuse_too_large, weight_bytes
from feda2v_cli.profile.schema import ImagesSection

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pipelines")
    tiny_flux(root / "flux")
    tiny_stable_diffusion(root / "sd")
    return root


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def painter(directory: Path, **keys: object) -> Painter:
    section = ImagesSection.model_validate({"steps": 1, "size": 16, **keys})
    return Painter(open_pipeline(str(directory)), section, CPU)


def point(name: str, seed: int) -> dict[str, torch.Tensor]:
    shapes = {"clip": (32,), "t5": (17, 32)} if name == "flux" else {"clip": (77, 32)}
    random = torch.Generator().manual_seed(seed)
    return {space: torch.randn(shape, generator=random) for space, shape in shapes.items()}


@pytest.mark.parametrize("name", ["flux", "sd"])
def test_a_picture_depends_on_point_and_seed_and_on_nothing_before_it(models: Path, name: str) -> None:
    paints = painter(models / name)
    first = paints.make(point(name, 0), {}, 5).image
    other_seed = paints.make(point(name, 0), {}, 6).image
    other_point = paints.make({space: 30 * value for space, value in point(name, 1).items()}, {}, 5).image
    again = painter(models / name).make(point(name, 0), {}, 5).image
    assert first.size == (16, 16)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other_seed.tobytes()
    assert first.tobytes() != other_point.tobytes()


def test_text_encoders_are_never_loaded_beside_the_pipeline(models: Path) -> None:
    for name in ("flux", "sd"):
        loaded = painter(models / name)._pipeline
        assert loaded.text_encoder is None
        assert getattr(loaded, "text_encoder_2", None) is None


def test_guidance_leads_away_from_the_empty_prompt(models: Path) -> None:
    section = ImagesSection(steps=1, size=16, guidance=7.5)
    directory = open_pipeline(str(models / "sd"))
    empty = {"clip": torch.full((77, 32), 5.0)}
    zeros = Painter(directory, section, CPU).make(point("sd", 0), {}, 0).image
    led = Painter(directory, section, CPU, empty).make(point("sd", 0), {}, 0).image
    assert zeros.tobytes() != led.tobytes()


def test_a_size_that_the_pipeline_would_change_in_silence_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match="multiples of 4 pixels") as failure:
        painter(models / "flux", size=18)
    assert failure.value.hint == "--size 16"


def test_offloading_from_a_machine_without_a_gpu_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match="there is no GPU to offload from"):
        painter(models / "sd", offload=True)


def test_a_pipeline_whose_weights_are_cut_off_is_told(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "sd", tmp_path / "sd")
    weights = next((tmp_path / "sd" / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(FailedError, match=r"images.pipeline = .*sd cannot be loaded — "):
        painter(tmp_path / "sd")


def test_the_weights_are_counted_without_text_encoders_and_in_the_numbers_asked_for(models: Path) -> None:
    parts = weight_bytes(open_pipeline(str(models / "flux")), torch.bfloat16)
    assert set(parts) == {"transformer", "vae"}
    stored = (models / "flux" / "transformer" / "diffusion_pytorch_model.safetensors").stat().st_size
    assert 0.9 * stored / 2 < parts["transformer"] < stored / 2


@pytest.mark.parametrize(
    ("free", "hint"),
    [
        (20e9, "what fits: --dtype bfloat16"),
        (8e9, "what fits: --dtype bfloat16 --offload"),
        (2e9, "--device cpu, a smaller pipeline, or a gallery: --gallery DIR"),
    ],
)
def test_a_gpu_that_is_too_small_is_told_what_fits(free: float, hint: str) -> None:
    parts = {"transformer": 12_000_000_000, "vae": 10_000_000_000}
    with pytest.raises(FailedError, match="the GPU is too small for big") as failure:
        refuse_too_large(parts, int(free), int(24e9), "big", torch.float32, offload=False)
    assert failure.value.hint == hint


def test_what_fits_is_not_refused() -> None:
    refuse_too_large({"transformer": 10**9}, 3 * 10**9, 4 * 10**9, "small", torch.float32, offload=False)


def test_a_flux_without_distilled_guidance_takes_four_steps(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "flux", tmp_path / "flux")
    path = tmp_path / "flux" / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"guidance_embeds": False}))
    from safetensors.torch import load_file, save_file

    weights = next((tmp_path / "flux" / "transformer").glob("*.safetensors"))
    kept = {name: value for name, value in load_file(weights).items() if "guidance_embedder" not in name}
    save_file(kept, weights, metadata={"format": "pt"})
    assert painter(tmp_path / "flux", steps=None).steps == 4
