"""Generators on a public basis: of the clips they tell class means alone, with noise when they shall promise something.

Axes, scales and covariances come from clips that may be known to all. Then nothing was fitted to the node's own clips
but one point for each class. All else of a class follows from that point, and from what is public: how far to trust it,
and which of the public classes it is like.
"""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.counted import fewest_of, rounded_count
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.principal_components import PrincipalComponents
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.training_set import TrainingSet
from feda2v_cli.privacy.accountant import noise_multiplier_for
from feda2v_cli.privacy.digest import digest_of_basis
from feda2v_cli.threads import threads_per_operation

#: Share of the public clips that lie within the bound at which norms are clipped: noise grows with it, and a mean of
#: clipped clips still points where the class lies.
SHARE_WITHIN_BOUND = 0.25
#: Discriminants that are released with noise, which grows with their number.
NOISY_DISCRIMINANTS = 14
#: Without noise, clips of a class for each discriminant: whoever knows a class well tells single clips by the more of
#: them, the larger their number is beside that of the clips (Homer et al., 2008).
CLIPS_PER_DISCRIMINANT = 2
#: Clips by which the covariance of all public classes counts in that of each.
CLIPS_OF_ALL = 40
#: Of the covariance of public means: the share of it that is taken to be of single coordinates, and how much of the
#: covariance within classes is added, since classes of the node may differ where public ones do not.
DIAGONAL_SHARE, WITHIN_SHARE = 0.3, 0.05
#: Of coordinates, whose variance over all public clips is one: what a variance within classes is not below.
SMALLEST_VARIANCE = 1e-3
_TINY = 1e-9
_BITS = 53


@dataclass(frozen=True)
class PublicBasis:
    """What is known to all.

    Discriminants y = T x are directions in which public clips have covariance one within classes, T W Tᵀ = 1, and means
    of classes differ independently, T B Tᵀ = diag(b), the largest b first (linear discriminant analysis: Rao, 1948). W
    is the covariance within classes, and B that of class means, which so few means do not tell well: it is shrunk.

    Attributes:
        projection: to coordinates x, in which public clips have variance one.
        back: T⁻¹, [rank, rank].
        between: b, [rank].
        means: of the public classes, in discriminants, [public classes, rank].
        counts: clips of the public classes, [public classes].
        covariances: of coordinates in each public class, [public classes, rank, rank].
        norms: of the public clips' first discriminants, those that noise is added to, [clips].
        digest: SHA-256 of the projection, as `digest_of_basis` makes it.
    """

    projection: Projection
    back: Tensor
    between: Tensor
    means: Tensor
    counts: Tensor
    covariances: Tensor
    norms: Tensor
    digest: str

    @classmethod
    def of(cls, embeddings: Tensor, labels: Tensor, rank: int) -> Self:
        """The basis of public clips.

        Args:
            embeddings: [clips, tokens, dim].
            labels: class of each clip, [clips]; every class has two at least.
            rank: coordinates.

        Raises:
            ValueError: the clips do not differ.
        """
        values, tokens = embeddings.flatten(1), embeddings.shape[1]
        with threads_per_operation(1):
            projection = Projection.pca(values, rank, 1.0, tokens=tokens)
            coordinates = projection.project(values).double()
            counts = torch.bincount(labels).double()
            means = torch.stack([coordinates[labels == label].mean(0) for label in range(len(counts))])
            centred = coordinates - means[labels]
            within = _within(centred, max(1, len(values) - len(counts)))
            covariances = torch.stack([_shrunk(centred[labels == label], within) for label in range(len(counts))])
            spread = (means - means.mean(0)) / max(1, len(counts) - 1) ** 0.5
            between = (1 - DIAGONAL_SHARE) * spread.T @ spread + WITHIN_SHARE * within
            between = between + DIAGONAL_SHARE * spread.square().sum(0).diag()
            root = torch.linalg.cholesky(within + _TINY * torch.eye(len(within), dtype=torch.double))
            whitened = torch.linalg.solve_triangular(root, between, upper=False)
            whitened = torch.linalg.solve_triangular(root, whitened.T, upper=False)
            variances, vectors = torch.linalg.eigh(0.5 * (whitened + whitened.T))
            variances, vectors = variances.flip(0), vectors.flip(1)
            back = root @ vectors
            discriminants = torch.linalg.solve(back, torch.cat([coordinates, means]).T).T
            norms = discriminants[: len(values), :NOISY_DISCRIMINANTS].norm(dim=1)
        tensors = projection.state().items()
        digest = digest_of_basis({name: hashlib.sha256(one.numpy().tobytes()).hexdigest() for name, one in tensors})
        named = replace(projection, public=digest)
        return cls(named, back, variances, discriminants[len(values) :], counts, covariances, norms, digest)

    @property
    def bound(self) -> float:
        """The norm of the first discriminants at which clips are clipped."""
        return float(torch.quantile(self.norms, SHARE_WITHIN_BOUND))

    def discriminants(self, coordinates: Tensor) -> Tensor:
        """Discriminants y = T x, float64 [clips, rank], of coordinates x, [clips, rank]."""
        solved: Tensor = torch.linalg.solve(self.back, coordinates.double().T)
        return solved.T

    def like(self, mean: Tensor, variance: float) -> Tensor:
        """Loadings [rank, rank] of the covariance of public classes that have such a mean.

        Each public class k counts by p(m | k) = N(m; m_k, v + 1 / n_k + w) in every discriminant, with v the variance
        of m, n_k the clips of m_k, and w what classes that sound alike may differ by.

        Args:
            mean: m, in its discriminants, [discriminants].
            variance: v.
        """
        variances = (variance + 1 / self.counts + WITHIN_SHARE)[:, None]
        apart = mean - self.means[:, : len(mean)]
        weights = torch.softmax(-0.5 * (apart.square() / variances + variances.log()).sum(1), 0)
        covariance = torch.einsum("k,kij->ij", weights, self.covariances)
        root: Tensor = torch.linalg.cholesky(covariance + _TINY * torch.eye(len(covariance), dtype=torch.double))
        return root.float()


def _within(centred: Tensor, freedom: int) -> Tensor:
    """Covariance within classes, [rank, rank], of few clips for so many coordinates mostly its diagonal.

    Args:
        centred: clips around the means of their classes, [clips, rank].
        freedom: their degrees of freedom.
    """
    found = centred.T @ centred / freedom
    kept = freedom / (freedom + centred.shape[1])
    return kept * found + (1 - kept) * found.diagonal().clamp(min=SMALLEST_VARIANCE).diag()


def _shrunk(centred: Tensor, within: Tensor) -> Tensor:
    """Covariance of one class, [rank, rank]: of few clips it is mostly that of all classes.

    Args:
        centred: its clips around their mean, [clips, rank].
        within: of all classes, [rank, rank].
    """
    count = len(centred)
    own = centred.T @ centred / max(1, count - 1)
    return (count * own + CLIPS_OF_ALL * within) / (count + CLIPS_OF_ALL)


@dataclass(frozen=True)
class Promise:
    """What a release promises: (ε, δ)-differential privacy of a clip that another of its class replaces.

    The mean of n clips, whose coordinates are scaled to norms of at most C, moves by at most 2 C / n when one is
    replaced. The noise has z times that as its deviation. Each clip is in one class of one generator, so that the
    promise is that of one release, whatever number of classes there are.

    Attributes:
        epsilon: ε.
        delta: δ.
        noise_multiplier: z.
        bound: C.
    """

    epsilon: float
    delta: float
    noise_multiplier: float
    bound: float

    @classmethod
    def of(cls, epsilon: float, delta: float, basis: PublicBasis) -> Self:
        """The promise with the least noise."""
        return cls(epsilon, delta, noise_multiplier_for(epsilon, delta), basis.bound)

    @classmethod
    def claimed(cls, claim: Mapping[str, Any]) -> Self:
        """The promise that a checkpoint keeps, as `to_dict` gave it."""
        return cls(claim["epsilon"], claim["delta"], claim["noise_multiplier"], claim["clipping_bound"])

    def deviation(self, count: int) -> float:
        """Of the noise on the mean of so many clips."""
        return self.noise_multiplier * 2 * self.bound / count

    def to_dict(self, digest: str) -> dict[str, Any]:
        """What a checkpoint keeps of it.

        Args:
            digest: of the public basis.
        """
        return {
            "epsilon": self.epsilon,
            "delta": self.delta,
            "mechanism": "gaussian",
            "released": "class means",
            "noise_multiplier": self.noise_multiplier,
            "clipping_bound": self.bound,
            "adjacency": "replace one clip of a class",
            "public_basis": digest,
        }


@dataclass(frozen=True)
class Rounding:
    """How counts of clips are told.

    Attributes:
        multiple: to the nearest multiple of this.
        least: a class has at least so many clips.
    """

    multiple: int
    least: int

    def told(self, count: int) -> int:
        """What is told of a count."""
        return rounded_count(count, self.multiple)

    def fewest(self, count: int) -> int:
        """The smallest count that is told as this one is."""
        return fewest_of(self.told(count), self.multiple, self.least)


#: Counts are told as they are.
EXACT = Rounding(1, 1)


@dataclass(frozen=True)
class Release:
    """All that a generator on a public basis has of its clips: with a promise nothing else may depend on them.

    Attributes:
        means: of each class, in coordinates, [classes, rank].
        loadings: of each class, [classes, rank, rank].
    """

    means: Tensor
    loadings: Tensor


def release(
    spec: GeneratorSpec,
    embeddings: Tensor,
    class_names: Sequence[str],
    basis: PublicBasis,
    promise: Promise | None,
    rounding: Rounding = EXACT,
) -> Release:
    """Release clips, with noise of its own each time.

    Args:
        spec: of the generator.
        embeddings: [clips, tokens, dim].
        class_names: of each clip.
        basis: of public clips.
        promise: what is to be promised; None for nothing.
        rounding: of counts of clips.
    """
    labels = torch.tensor([spec.classes.index(name) for name in class_names])
    with threads_per_operation(1):
        discriminants = basis.discriminants(basis.projection.project(embeddings.flatten(1)))
        made = [_class(discriminants[labels == label], basis, promise, rounding) for label in range(len(spec.classes))]
    return Release(*(torch.stack(parts) for parts in zip(*made, strict=True)))


def released_set(
    spec: GeneratorSpec,
    embeddings: Tensor,
    class_names: Sequence[str],
    basis: PublicBasis,
    promise: Promise | None,
    rounding: Rounding = EXACT,
    released: Release | None = None,
) -> TrainingSet:
    """What a Gaussian on a public basis is made of.

    With a promise, nothing else of it depends on the clips: its coordinates, by which losses and figures are taken, are
    drawn from what is released.

    Args:
        spec: of the generator.
        embeddings: [clips, tokens, dim].
        class_names: of each clip.
        basis: of public clips.
        promise: what is to be promised; None for nothing.
        rounding: of counts of clips; with a promise as many are drawn as are told.
        released: what was released of these clips; None to release them.
    """
    made = released or release(spec, embeddings, class_names, basis, promise, rounding)
    labels = torch.tensor([spec.classes.index(name) for name in class_names])
    rank, classes = basis.projection.rank, len(spec.classes)
    components = PrincipalComponents(made.means, made.loadings, basis.projection.scale, torch.zeros(classes, rank))
    with threads_per_operation(1):
        if promise is None:
            coordinates = basis.projection.project(embeddings.flatten(1))
        else:
            told = [rounding.told(int(count)) for count in torch.bincount(labels)]
            labels = torch.arange(classes).repeat_interleave(torch.tensor(told))
            random = torch.Generator().manual_seed(0)
            coordinates = components.coordinates(torch.randn(len(labels), rank, generator=random), labels)
    shape = (embeddings.shape[1], embeddings.shape[2])
    return TrainingSet(spec, basis.projection, coordinates, labels, shape, components)


def _class(
    discriminants: Tensor, basis: PublicBasis, promise: Promise | None, rounding: Rounding
) -> tuple[Tensor, Tensor]:
    """Mean [rank] and loadings [rank, rank] of a class's coordinates, from one point that is all that clips tell.

    Discriminants that are not released stay at the public mean.

    Args:
        discriminants: of its clips, [clips, rank].
        basis: of public clips.
        promise: what is to be promised; None for nothing.
        rounding: of counts of clips. How far a point is trusted can be read from a file, and so the count for it.
    """
    count = len(discriminants)
    released = what_counts(discriminants, promise, rounding).mean(0)
    if promise is not None:
        released = released + promise.deviation(count) * secret_noise(len(released))
    kept, variance = _trust(basis, len(released), rounding.told(count), promise)
    return (basis.back[:, : len(released)] @ (kept * released)).float(), basis.like(released, variance)


def what_counts(discriminants: Tensor, promise: Promise | None, rounding: Rounding = EXACT) -> Tensor:
    """What of each clip goes into the mean that is released, [clips, released discriminants].

    Args:
        discriminants: of the clips of a class, [clips, rank].
        promise: what is to be promised; None for nothing.
        rounding: of counts of clips: how many discriminants differ from public ones tells the count, too.
    """
    if promise is None:
        fewest = rounding.fewest(len(discriminants))
        return discriminants[:, : max(1, fewest // CLIPS_PER_DISCRIMINANT)]
    values = discriminants[:, :NOISY_DISCRIMINANTS]
    clipped: Tensor = values * (promise.bound / values.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return clipped


def released_point(coordinates: Tensor, count: int, basis: PublicBasis, promise: Promise | None) -> Tensor:
    """The point that was released, of a class's mean in a file: how far it was trusted is no secret, float64 [rank].

    Args:
        coordinates: the mean, [rank].
        count: clips of the class that the file tells of.
        basis: that the file names.
        promise: that it makes; None for none.
    """
    kept, _ = _trust(basis, basis.projection.rank, count, promise)
    point: Tensor = basis.discriminants(coordinates[None])[0] / kept
    return point


def _trust(basis: PublicBasis, width: int, count: int, promise: Promise | None) -> tuple[Tensor, float]:
    """What share of a released point is kept, [width], and the variance of its numbers.

    Of a mean of n clips, whose own variance is 1 / n, and noise with variance s², the mean of a class, which has
    variance b, is best taken by b / (b + 1 / n + s²) (Wiener, 1949).
    """
    variance = 1 / count + (0.0 if promise is None else promise.deviation(count)) ** 2
    between = basis.between[:width]
    return between / (between + variance), variance


def secret_noise(width: int) -> Tensor:
    """Standard normal noise of the operating system's cryptographic source, float64 [width]: no seed gives it again."""
    count = 2 * math.ceil(width / 2)
    integers = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(64 - _BITS)
    uniform = torch.from_numpy((integers.astype(np.float64) + 0.5) / 2**_BITS)
    # Box and Muller (1958): (−2 log u)^½ (cos 2πv, sin 2πv) are two normal numbers.
    length, angle = (-2 * uniform[::2].log()).sqrt(), 2 * math.pi * uniform[1::2]
    return torch.cat([length * angle.cos(), length * angle.sin()])[:width]
