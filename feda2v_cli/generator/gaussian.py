"""The class-conditional Gaussian: closed form, and the baseline that every other generator has to beat."""

from typing import ClassVar, Self

import torch
from torch import Tensor

from feda2v_cli.generator.balanced import balanced_normal, turned
from feda2v_cli.generator.moments import ClassMoments

#: Added to a covariance's diagonal, as a share of its mean: of few clips a covariance is singular.
JITTER_SHARE = 1e-6


class GaussianSampler:
    """A full-covariance Gaussian for each class.

    Args:
        means: [classes, rank].
        factors: lower Cholesky factors of the covariances, [classes, rank, rank].
    """

    type: ClassVar[str] = "gaussian"

    def __init__(self, means: Tensor, factors: Tensor) -> None:
        self.means = means
        self.factors = factors

    @classmethod
    def fit(cls, moments: ClassMoments) -> Self:
        """The Gaussian with these moments."""
        covariances = moments.covariances
        jitter = JITTER_SHARE * covariances.diagonal(dim1=-2, dim2=-1).mean(-1).clamp(min=torch.finfo(torch.float).tiny)
        steady = covariances + jitter[:, None, None] * torch.eye(covariances.shape[-1], dtype=torch.double)
        return cls(moments.means, torch.linalg.cholesky(steady).float())

    @staticmethod
    def shapes(rank: int, classes: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name."""
        return {"means": (classes, rank), "factors": (classes, rank, rank)}

    @property
    def loadings(self) -> Tensor:
        """The factors, [classes, rank, rank]."""
        return self.factors

    def draw(self, labels: Tensor, directions: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples], balanced along `directions` of the noise."""
        noise = turned(balanced_normal(labels, self.means.shape[1], random), labels, directions)
        return self.means[labels] + torch.einsum("nrs,ns->nr", self.factors[labels], noise)

    def architecture(self) -> dict[str, int]:
        """Nothing but rank and number of classes is needed."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Means and factors."""
        return {"means": self.means, "factors": self.factors}
