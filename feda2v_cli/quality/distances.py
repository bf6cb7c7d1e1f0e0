"""How far the distribution of samples is from that of clips: one distance with a kernel, one between Gaussians."""

import torch
from torch import Tensor

from feda2v_cli.quality.neighbours import Distances

#: The distance is a small number: it is given in hundredths (Chung et al., 2025, section 3.3).
KERNEL_DISTANCE_SCALE = 100.0


def kernel_audio_distance(points: Distances) -> float:
    """KAD: unbiased squared maximum mean discrepancy, in hundredths (Chung et al., KAD: No More FAD!, 2025).

    Of clips x_1 … x_m and samples y_1 … y_n (Gretton et al., A Kernel Two-Sample Test, 2012, equation 3):

        MMD²_u = Σ_{i≠j} k(x_i, x_j) / (m (m − 1)) + Σ_{i≠j} k(y_i, y_j) / (n (n − 1)) − 2 Σ_{i,j} k(x_i, y_j) / (m n)

    with the Gaussian kernel k(x, y) = exp(−‖x − y‖² / (2 σ²)), whose bandwidth σ is the median distance between two
    clips. It is unbiased, so that it can be below zero, has no trouble with few samples, and sees lost variety.

    Args:
        points: clips and samples, at least two of each.
    """
    rows, columns = torch.triu_indices(len(points.clips), len(points.clips), offset=1)
    bandwidth = points.clips[rows, columns].median()
    # γ = 1 / (2 σ²); clips that are all equal have no bandwidth.
    gamma = 1 / (2 * bandwidth.square()).clamp(min=torch.finfo(torch.float64).tiny)

    def kernel(distances: Tensor) -> Tensor:
        return (-gamma * distances.square()).exp()

    def mean_of_pairs(distances: Tensor) -> Tensor:
        count = len(distances)
        return (kernel(distances).sum() - count) / (count * (count - 1))  # without the diagonal, where k = 1

    discrepancy = mean_of_pairs(points.clips) + mean_of_pairs(points.samples) - 2 * kernel(points.between).mean()
    return KERNEL_DISTANCE_SCALE * float(discrepancy)


def frechet_audio_distance(clips: Tensor, samples: Tensor) -> float:
    """FAD: Fréchet distance between Gaussians fitted to clips and to samples (Kilgour et al., 2019).

        FAD = ‖μ_x − μ_y‖² + tr(Σ_x + Σ_y − 2 (Σ_x Σ_y)^½)

    With A and B the centred rows of clips and samples over (m − 1)^½ and (n − 1)^½, Σ_x = AᵀA and Σ_y = BᵀB. Then
    tr Σ_x = ‖A‖², and tr (Σ_x Σ_y)^½ is the sum of the singular values of the cross Gram matrix A Bᵀ, [clips, samples]:
    Σ_x Σ_y = AᵀA BᵀB has the eigenvalues of (A Bᵀ)(A Bᵀ)ᵀ. That is exact, and defined when there are fewer clips than
    features. It is biased upwards the more, the fewer the clips and samples (Chong and Forsyth, 2020), and with few of
    them it prefers samples without variety: compare it with its floor alone, and only at equal counts.

    Args:
        clips: [clips, features], at least two.
        samples: [samples, features], at least two.
    """
    rows, means = zip(*map(_centred, (clips, samples)), strict=True)
    traces = sum(part.square().sum() for part in rows)
    shared = torch.linalg.svdvals(rows[0] @ rows[1].T).sum()
    return float((means[0] - means[1]).square().sum() + traces - 2 * shared)


def _centred(points: Tensor) -> tuple[Tensor, Tensor]:
    """Rows A with Σ = AᵀA, and their mean μ, in double precision."""
    double = points.double()
    mean = double.mean(0)
    return (double - mean) / (len(points) - 1) ** 0.5, mean
