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

#: Bytes of embeddings that are computed with together, in double precision: what bounds the memory.
PART_BYTES = 128 * 1024**2
#: Clips that are projected together.
CLIPS_AT_ONCE = 4096


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

        With E the n clips around their mean, [clips, features], the covariance S = EᵀE / (n − 1) and the Gram matrix
        G = E Eᵀ / (n − 1) have the same eigenvalues Λ. The smaller of the two is decomposed: it grows neither with the
        length of an embedding nor with the number of clips beyond that. Of S = V Λ Vᵀ the axes are A = Vᵀ; of
        G = U Λ Uᵀ they are A = (Λ (n − 1))^(−½) Uᵀ E.

        Args:
            embeddings: [clips, features].
            rank: most axes; there are never more than clips − 1.
            explained_share: the axes are cut where they explain this share of the variance.

        Raises:
            ValueError: fewer than two clips, or clips that are all equal: nothing spans an axis.
        """
        clips, features = embeddings.shape
        mean = embeddings.mean(0)
        variances, vectors = _decomposed(embeddings, mean)
        size = float(sum(part.square().sum() for part in torch.split(embeddings, _at_once(clips), dim=1))) / clips
        usable = int((variances > max(SMALLEST_VARIANCE_SHARE * float(variances[0]), ROUNDING_SHARE * size)).sum())
        if clips < 2 or usable == 0:
            raise ValueError(f"{clips} clips that do not differ span no axis")
        variances = variances[:usable]
        wanted = int((variances.cumsum(0) / variances.sum() < explained_share).sum()) + 1
        kept = min(rank, clips - 1, usable, wanted)
        variances, vectors = variances[:kept], vectors[:, :kept]
        if clips <= features:
            weights = (_upright(vectors, vectors) / (variances * (clips - 1)).sqrt()).T  # (Λ (n − 1))^(−½) Uᵀ
            axes = torch.cat([(weights @ part).float() for part in _parts_of_features(embeddings, mean)], dim=1)
        else:
            along = torch.cat([part @ vectors for part in _parts_of_clips(embeddings, mean)])  # [clips, rank]
            axes = _upright(vectors, along).T.float().contiguous()
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
        return torch.cat([self._project(part) for part in torch.split(embeddings, CLIPS_AT_ONCE)])

    def _project(self, embeddings: Tensor) -> Tensor:
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


def fitting_bytes(kind: object, clips: int, features: int) -> int:
    """Bytes that fitting a projection takes beside the embeddings and the projection itself.

    Args:
        kind: of projection.
        clips: that it is fitted on.
        features: of an embedding.
    """
    if kind == "none":
        return 4 * min(clips, CLIPS_AT_ONCE) * features
    side = min(clips, features)
    # The matrix and its copy, which becomes its vectors, their order turned, and LAPACK's syevd: 1 + 6 n + 2 n².
    decomposition = 8 * 5 * side**2
    part = min(8 * clips * features, PART_BYTES)
    return max(decomposition, 8 * side**2 + 2 * part) + part


def _decomposed(embeddings: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [side], the largest first, and eigenvectors [side, side] of Gram or covariance matrix."""
    clips, features = embeddings.shape
    matrix = torch.zeros(min(clips, features), min(clips, features), dtype=torch.double)
    if clips <= features:
        for part in _parts_of_features(embeddings, mean):
            matrix.addmm_(part, part.T)
    else:
        for part in _parts_of_clips(embeddings, mean):
            matrix.addmm_(part.T, part)
    values, vectors = torch.linalg.eigh(matrix.div_(max(clips - 1, 1)))
    return values.flip(0), vectors.flip(1)


def _upright(vectors: Tensor, along: Tensor) -> Tensor:
    """Of an axis and its opposite, the one on which the farthest clip is positive: a rule that any machine repeats.

    Args:
        vectors: [side, rank].
        along: where the clips lie along them, up to a scale, [clips, rank].
    """
    farthest = along.abs().argmax(0, keepdim=True)
    return vectors * along.gather(0, farthest).sign()


def _at_once(rows: int) -> int:
    return max(1, PART_BYTES // (8 * max(1, rows)))


def _parts_of_features(embeddings: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Embeddings around their mean, some features at a time, in double precision: a Gram matrix squares all errors."""
    width = _at_once(len(embeddings))
    for part, own in zip(torch.split(embeddings, width, dim=1), torch.split(mean, width), strict=True):
        yield part.double().sub_(own.double())


def _parts_of_clips(embeddings: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Embeddings around their mean, some clips at a time, likewise."""
    for part in torch.split(embeddings, _at_once(embeddings.shape[1])):
        yield part.double().sub_(mean.double())
