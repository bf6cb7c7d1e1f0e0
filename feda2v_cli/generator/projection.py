"""Whitened principal axes: few coordinates for embeddings of any length."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

#: Below this share of the largest axis' variance an axis is rounding noise, and whitening it would blow it up.
SMALLEST_VARIANCE_SHARE = 1e-8

#: Below this share of the embeddings' mean square a variance is what single precision leaves of equal clips.
ROUNDING_SHARE = 1e-12

#: Features that are computed with together, in double precision: what bounds the memory.
FEATURES_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Projection:
    """An affine map between embeddings e and the coordinates x that generators work in.

    x = Λ^(−½) A (e − m) and back e = m + Aᵀ Λ^½ x, with A Aᵀ = 1: the coordinates of the embeddings that it was fitted
    on have mean zero and, with axes, covariance one (they are whitened).

    Attributes:
        mean: m, [features], of the embeddings it was fitted on.
        scale: Λ^½, standard deviation of each coordinate before whitening, [rank] with axes, [features] without.
        axes: A, [rank, features], orthonormal rows; None keeps every feature as a coordinate.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor | None

    @property
    def rank(self) -> int:
        """How many coordinates an embedding has."""
        return self.scale.shape[0]

    @property
    def bytes(self) -> int:
        """Bytes of its tensors."""
        return sum(part.nbytes for part in (self.mean, self.scale, self.axes) if part is not None)

    @classmethod
    def pca(cls, embeddings: Tensor, rank: int, explained_share: float) -> Self:
        """Whitened principal axes (Jolliffe, Principal Component Analysis, 2002, section 3.5).

        They come from the Gram matrix of the n clips: what is decomposed does not grow with the length of an embedding.
        With E the clips around their mean, [clips, features], the covariance S = EᵀE / (n − 1) and the Gram matrix
        G = E Eᵀ / (n − 1) have the same eigenvalues Λ; of G = U Λ Uᵀ the axes are A = (Λ (n − 1))^(−½) Uᵀ E.

        Args:
            embeddings: [clips, features].
            rank: most axes; there are never more than clips − 1.
            explained_share: the axes are cut where they explain this share of the variance.

        Raises:
            ValueError: fewer than two clips, or clips that are all equal: nothing spans an axis.
        """
        clips = embeddings.shape[0]
        mean = embeddings.mean(0)
        gram = sum(part @ part.T for part in _centred_parts(embeddings, mean))
        assert isinstance(gram, Tensor)
        variances, components = torch.linalg.eigh(gram / max(clips - 1, 1))
        variances, components = variances.flip(0), components.flip(1)
        size = float(sum(part.square().sum() for part in torch.split(embeddings, FEATURES_AT_ONCE, dim=1))) / clips
        usable = int((variances > max(SMALLEST_VARIANCE_SHARE * float(variances[0]), ROUNDING_SHARE * size)).sum())
        if clips < 2 or usable == 0:
            raise ValueError(f"{clips} clips that do not differ span no axis")
        variances = variances[:usable]
        wanted = int((variances.cumsum(0) / variances.sum() < explained_share).sum()) + 1
        kept = min(rank, clips - 1, usable, wanted)
        variances, components = variances[:kept], components[:, :kept]
        # Of an axis and its opposite, the one on which the farthest clip is positive: a rule that any machine repeats.
        farthest = components.abs().argmax(0, keepdim=True)
        components = components * components.gather(0, farthest).sign()
        weights = (components / (variances * (clips - 1)).sqrt()).T  # (Λ (n − 1))^(−½) Uᵀ, [rank, clips]
        axes = torch.cat([(weights @ part).float() for part in _centred_parts(embeddings, mean)], dim=1)
        return cls(mean, variances.sqrt().float(), axes)

    @classmethod
    def none(cls, embeddings: Tensor) -> Self:
        """No axes: every feature is a coordinate, standardised.

        Args:
            embeddings: [clips, features].
        """
        scale = embeddings.std(0) if embeddings.shape[0] > 1 else torch.zeros_like(embeddings[0])
        # A feature that never varies stays at its mean.
        return cls(embeddings.mean(0), torch.where(scale > 0, scale, 1.0), None)

    def project(self, embeddings: Tensor) -> Tensor:
        """Whitened coordinates, [clips, rank], of embeddings [clips, features]."""
        centred = embeddings - self.mean
        return (centred if self.axes is None else centred @ self.axes.T) / self.scale

    def restore(self, coordinates: Tensor) -> Tensor:
        """Embeddings [clips, features] of whitened coordinates [clips, rank]."""
        scaled = coordinates * self.scale
        return self.mean + (scaled if self.axes is None else scaled @ self.axes)

    def state(self) -> dict[str, Tensor]:
        """Its tensors, by name."""
        axes = {} if self.axes is None else {"projection.axes": self.axes}
        return {"projection.mean": self.mean, "projection.scale": self.scale, **axes}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The projection that gave `state`."""
        return cls(state["projection.mean"], state["projection.scale"], state.get("projection.axes"))


def projection_shapes(kind: object, rank: int, features: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a projection's `state` by name.

    Args:
        kind: `pca` or `none`.
        rank: coordinates of an embedding.
        features: tokens × dim of an embedding.

    Raises:
        ValueError: there is no such projection.
    """
    shapes: dict[str, tuple[int, ...]] = {"projection.mean": (features,), "projection.scale": (rank,)}
    match kind:
        case "pca":
            return shapes | {"projection.axes": (rank, features)}
        case "none" if rank == features:
            return shapes
    raise ValueError(f"projection {kind!r} with rank {rank} and {features} features")


def _centred_parts(embeddings: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Embeddings around their mean, some features at a time, in double precision: a Gram matrix squares all errors."""
    for part, own in zip(
        torch.split(embeddings, FEATURES_AT_ONCE, dim=1), torch.split(mean, FEATURES_AT_ONCE), strict=True
    ):
        yield part.double() - own.double()
