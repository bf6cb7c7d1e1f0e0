"""Generators on a public basis: of the clips they tell class means alone, with noise when they shall promise something.

Axes, scales and covariance come from clips that may be known to all. Then nothing was fitted to the node's own clips
but one point of few coordinates for each class.
"""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.principal_components import PrincipalComponents
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.training_set import TrainingSet
from feda2v_cli.privacy.accountant import noise_multiplier_for
from feda2v_cli.threads import threads_per_operation

#: Share of the public clips that lie within the bound at which norms are clipped.
SHARE_WITHIN_BOUND = 0.9
#: Coordinates of few clips a class, and of many: noise grows with them, and so does what they tell of a class.
FEW_COORDINATES, MANY_COORDINATES = 32, 64
MANY_CLIPS = 128
_BITS = 53


@dataclass(frozen=True)
class PublicBasis:
    """What is known to all.

    Attributes:
        projection: to coordinates, in which public clips have variance one.
        loadings: L of the covariance L Lᵀ within classes, [rank, rank].
        between: variance of class means in each coordinate, [rank].
        bound: norm of coordinates within which most public clips lie.
        digest: SHA-256 of all of it.
    """

    projection: Projection
    loadings: Tensor
    between: Tensor
    bound: float
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
            classes = int(labels.max()) + 1
            means = torch.stack([coordinates[labels == label].mean(0) for label in range(classes)])
            within = (coordinates - means[labels]) / max(1, len(values) - classes) ** 0.5
            covariance = within.T @ within
            by_chance = covariance.diagonal() * classes / len(values)
            between = (means.var(0) - by_chance).clamp(min=0) + 1e-3 * covariance.diagonal()
            loadings = torch.linalg.cholesky(covariance + 1e-9 * torch.eye(len(covariance), dtype=torch.double))
            bound = float(torch.quantile(coordinates.norm(dim=1), SHARE_WITHIN_BOUND))
        tensors = (*projection.state().values(), loadings, between)
        digest = hashlib.sha256(b"".join(tensor.float().contiguous().numpy().tobytes() for tensor in tensors))
        named = replace(projection, public=digest.hexdigest())
        return cls(named, loadings.float(), between, bound, digest.hexdigest())


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


def released_set(
    spec: GeneratorSpec, embeddings: Tensor, class_names: Sequence[str], basis: PublicBasis, promise: Promise | None
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
    """
    labels = torch.tensor([spec.classes.index(name) for name in class_names])
    coordinates = basis.projection.project(embeddings.flatten(1))
    means = torch.stack([_mean(coordinates[labels == label], basis, promise) for label in range(len(spec.classes))])
    rank, classes = len(basis.loadings), len(spec.classes)
    components = PrincipalComponents(
        means, basis.loadings.expand(classes, -1, -1).clone(), basis.projection.scale, torch.zeros(classes, rank)
    )
    if promise is not None:
        random = torch.Generator().manual_seed(0)
        coordinates = components.coordinates(torch.randn(len(labels), rank, generator=random), labels)
    shape = (embeddings.shape[1], embeddings.shape[2])
    return TrainingSet(spec, basis.projection, coordinates, labels, shape, components)


def _mean(coordinates: Tensor, basis: PublicBasis, promise: Promise | None) -> Tensor:
    """The mean of a class as it is released, [rank].

    Of noise with variance s² and a mean of n clips, whose own error is w / n, a mean with variance b between classes is
    best taken by b / (b + w / n + s²) (Wiener); b and w are public.
    """
    values, count = coordinates.double(), len(coordinates)
    deviation = 0.0
    if promise is not None:
        values = values * (promise.bound / values.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
        deviation = promise.noise_multiplier * 2 * promise.bound / count
    noisy = values.mean(0) + deviation * secret_noise(values.shape[1])
    within = basis.loadings.double().square().sum(1)
    return (noisy * basis.between / (basis.between + within / count + deviation**2)).float()


def secret_noise(width: int) -> Tensor:
    """Standard normal noise of the operating system's cryptographic source, float64 [width]: no seed gives it again."""
    count = 2 * math.ceil(width / 2)
    integers = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(64 - _BITS)
    uniform = torch.from_numpy((integers.astype(np.float64) + 0.5) / 2**_BITS)
    # Box and Muller (1958): (−2 log u)^½ (cos 2πv, sin 2πv) are two normal numbers.
    length, angle = (-2 * uniform[::2].log()).sqrt(), 2 * math.pi * uniform[1::2]
    return torch.cat([length * angle.cos(), length * angle.sin()])[:width]
