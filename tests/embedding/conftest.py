from pathlib import Path

import pytest
import torch

from feda2v_cli.data.builtin import BuiltinClip, builtin_clips
from feda2v_cli.embedding.melstats import MelStats


@pytest.fixture(scope="session")
def encoder() -> MelStats:
    return MelStats(tokens=4, sample_rate=16_000, seconds=5.0, device=torch.device("cpu"))


@pytest.fixture(scope="session")
def clips() -> tuple[BuiltinClip, ...]:
    """Two clips of every class."""
    return builtin_clips()[::20]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
