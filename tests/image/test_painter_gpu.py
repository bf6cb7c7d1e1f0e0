"""What only a machine with a GPU can show: pipelines in its numbers, offloaded, from the same noise as on a CPU.

python -m pytest -m gpu tests/image/test_painter_gpu.py
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL.Image import Image
from tiny_pipelines import tiny_flux, tiny_stable_diffusion

from feda2v_cli.embedding.diffusion import open_pipeline
from feda2v_cli.image.painter import Painter
from feda2v_cli.profile.schema import ImagesSection

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")]
SHAPES = {"flux": {"clip": (32,), "t5": (17, 32)}, "sd": {"clip": (77, 32)}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pipelines")
    tiny_flux(root / "flux")
    tiny_stable_diffusion(root / "sd")
    return root


def picture(directory: Path, device: str, **keys: object) -> Image:
    section = ImagesSection.model_validate({"steps": 2, "size": 16, **keys})
    painter = Painter(open_pipeline(str(directory)), section, torch.device(device))
    random = torch.Generator().manual_seed(0)
    point = {space: torch.randn(shape, generator=random) for space, shape in SHAPES[directory.name].items()}
    try:
        return painter.make(point, {}, 1).image
    finally:
        painter.close()


@pytest.mark.parametrize("name", ["flux", "sd"])
@pytest.mark.parametrize("keys", [{}, {"dtype": "float32"}, {"offload": True}, {"dtype": "float16", "offload": True}])
def test_a_gpu_paints_the_same_bytes_twice(models: Path, name: str, keys: dict[str, object]) -> None:
    first, again = (picture(models / name, "cuda", **keys) for _ in range(2))
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("name", ["flux", "sd"])
def test_a_gpu_paints_what_a_cpu_paints(models: Path, name: str) -> None:
    on_gpu, on_cpu = (np.asarray(picture(models / name, device, dtype="float32"), float) for device in ("cuda", "cpu"))
    assert np.abs(on_gpu - on_cpu).mean() < 3
