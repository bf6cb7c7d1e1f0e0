"""How far the distribution of samples is from that of clips: one distance with a kernel, one between Gaussians."""

import torch
from torch import Tensor

from feda2v_cli.quality.neighbours import distances

#: The distance is a small number: it is given in hundredths (Chung et al., 2025, section 3.3).
KERNEL_DISTANCE_SCALE = 100.0


def kernel_audio_distance(clips: Tensor, samples: Tensor) -> float:
    """KAD: unbiased squared maximum mean discrepancy, in hundredths (Chung et al., KAD: No More FAD!, 2025).

    Gaussian kernel; the bandwidth is the median distance between two clips. It is unbiased, so that it can be below
    zero, has no trouble with few samples, and sees lost variety.

    Args:
        clips: [clips, features], at least two.
        samples: [samples, features], at least two.
    """
    bandwidth = torch.nn.functional.pdist(clips.double()).median()
    gamma = 1 / (2 * bandwidth.square()).clamp(min=torch.finfo(torch.float64).tiny)

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        return (-gamma * distances(left, right).square()).exp()

    def mean_of_pairs(points: Tensor) -> Tensor:
        count = len(points)
        return (kernel(points, points).sum() - count) / (count * (count - 1))

    discrepancy = mean_of_pairs(clips) + mean_of_pairs(samples) - 2 * kernel(clips, samples).mean()
    return KERNEL_DISTANCE_SCALE * float(discrepancy)


def frechet_audio_distance(clips: Tensor, samples: Tensor) -> float:
    """FAD: Fréchet distance between Gaussians fitted to clips and to samples (Kilgour et al., 2019).

    The trace of the root of the covariances' product is the sum of the singular values of the cross Gram matrix
    A Bᵀ of the centred and scaled rows, [clips, samples]: exact, and defined when there are fewer clips than features.
    It is biased upwards the more, the fewer the clips and samples (Chong and Forsyth, 2020), and with few of them it
    prefers samples without variety: compare it with its floor alone, and only at equal counts.

    Args:
        clips: [clips, features], at least two.
        samples: [samples, features], at least two.
    """
    rows, means = zip(*map(_centred, (clips, samples)), strict=True)
    traces = sum(part.square().sum() for part in rows)
    shared = torch.linalg.svdvals(rows[0] @ rows[1].T).sum()
    return float((means[0] - means[1]).square().sum() + traces - 2 * shared)


def _centred(points: Tensor) -> tuple[Tensor, Tensor]:
    """Rows whose Gram matrix has the covariance's spectrum, and their mean, in double precision."""
    double = points.double()
    mean = double.mean(0)
    return (double - mean) / (len(points) - 1) ** 0.5, mean
