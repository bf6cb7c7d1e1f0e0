import math

import numpy as np
import pytest
import torch
from scipy import linalg

from feda2v_cli.quality.distances import frechet_audio_distance, kernel_audio_distance
from feda2v_cli.quality.neighbours import Distances


def points(count: int, features: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(features, features, generator=random) / features**0.5
    return scale * torch.randn(count, features, generator=random) @ mixing + 0.1 * seed


def published_kad(clips: np.ndarray, samples: np.ndarray) -> float:
    """Equations 5 and 7 of Chung et al. (2025), sum by sum."""

    def distance(left: np.ndarray, right: np.ndarray) -> float:
        return math.sqrt(sum((a - b) ** 2 for a, b in zip(left, right, strict=True)))

    count, others = len(clips), len(samples)
    pairs = sorted(distance(clips[i], clips[j]) for i in range(count) for j in range(i))
    bandwidth = pairs[(len(pairs) - 1) // 2]

    def kernel(left: np.ndarray, right: np.ndarray) -> float:
        return math.exp(-(distance(left, right) ** 2) / (2 * bandwidth**2))

    within = sum(kernel(clips[i], clips[j]) for i in range(count) for j in range(count) if i != j)
    within_samples = sum(kernel(samples[i], samples[j]) for i in range(others) for j in range(others) if i != j)
    between = sum(kernel(clip, sample) for clip in clips for sample in samples)
    return 100 * (
        within / (count * (count - 1)) + within_samples / (others * (others - 1)) - 2 * between / (count * others)
    )


def scipy_fad(clips: torch.Tensor, samples: torch.Tensor) -> float:
    left, right = np.cov(clips.double().numpy(), rowvar=False), np.cov(samples.double().numpy(), rowvar=False)
    root = linalg.sqrtm(left @ right)
    means = (clips.double().mean(0) - samples.double().mean(0)).numpy()
    return float(means @ means + np.trace(left + right - 2 * np.real(root)))


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_kad_is_the_published_formula(scale: float) -> None:
    clips, samples = points(14, 20, 1), points(11, 20, 2, scale)
    expected = published_kad(clips.double().numpy(), samples.double().numpy())
    assert kernel_audio_distance(Distances.of(clips, samples)) == pytest.approx(expected, rel=1e-9)


def test_kad_of_one_distribution_is_about_zero_and_of_a_narrower_one_is_not() -> None:
    random = torch.Generator().manual_seed(0)
    clips, alike, narrow = (scale * torch.randn(200, 50, generator=random) for scale in (1.0, 1.0, 0.3))
    assert abs(kernel_audio_distance(Distances.of(clips, alike))) < 0.2
    assert kernel_audio_distance(Distances.of(clips, narrow)) > 1


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_fad_is_scipy_s_where_there_are_more_clips_than_features(scale: float) -> None:
    clips, samples = points(80, 12, 1), points(90, 12, 2, scale)
    assert frechet_audio_distance(clips, samples) == pytest.approx(scipy_fad(clips, samples), rel=1e-6)


def test_fad_of_clips_with_themselves_is_zero_with_fewer_clips_than_features() -> None:
    clips = points(10, 300, 1)
    assert frechet_audio_distance(clips, clips) == pytest.approx(0, abs=1e-8)


def test_fad_prefers_lost_variety_when_clips_are_few() -> None:
    random = torch.Generator().manual_seed(0)
    clips, alike, narrow = (scale * torch.randn(40, 768, generator=random) for scale in (1.0, 1.0, 0.3))
    assert frechet_audio_distance(clips, narrow) < frechet_audio_distance(clips, alike)
