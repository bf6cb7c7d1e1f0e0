"""Whitened principal axes: few coordinates for embeddings of any length, and what lies beyond them."""

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

    x = Λ^(−½) A (e − m) and back e = m + Aᵀ Λ^½ x + (1 − AᵀA) D^½ ε, with A Aᵀ = 1 and ε ~ N(0, 1): the coordinates of
    the embeddings that it was fitted on have mean zero and variance one (of one class: they are whitened). What lies
    beyond the axes is modelled by its variance alone, as in factor analysis. Few axes with a remainder say less of
    single clips than many axes: those fitted on n clips at full rank have each of the clips in their span.

    Attributes:
        mean: m, [features], of the embeddings it was fitted on.
        scale: Λ^½, standard deviation of each coordinate before whitening, [rank] with axes, [features] without.
        axes: A, [rank, features], orthonormal rows; None keeps every feature as a coordinate.
        remainder: D^½, deviation of the features of a token beyond the axes, the same for all tokens, [dim]; None
            where there is nothing beyond them.
        public: digest of the public basis that it is; None where it was fitted to the node's own clips.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor | None
    remainder: Tensor | None = None
    public: str | None = None

    @property
    def rank(self) -> int:
        """How many coordinates an embedding has."""
        return self.scale.shape[0]

    @property
    def bytes(self) -> int:
        """Bytes of its tensors."""
        return sum(part.nbytes for part in (self.mean, self.scale, self.axes, self.remainder) if part is not None)

    @classmethod
    def pca(
        cls,
        embeddings: Tensor,
        rank: int,
        explained_share: float,
        labels: Tensor | None = None,
        tokens: int = 1,
    ) -> Self:
        """Principal axes within classes (Jolliffe, Principal Component Analysis, 2002, section 3.5), and between them.

        With E the n clips around their class's mean, [clips, features], the covariance S = EᵀE / (n − 1) and the Gram
        matrix G = E Eᵀ / (n − 1) have the same eigenvalues Λ. The smaller of the two is decomposed: it grows neither
        with the length of an embedding nor with the number of clips beyond that. Of S = V Λ Vᵀ the axes are A = Vᵀ; of
        G = U Λ Uᵀ they are A = (Λ (n − 1))^(−½) Uᵀ E. To them come the axes along which the means of K classes differ,
        K − 1 at most, so that no axis is spent on what is known of a class anyway.

        Args:
            embeddings: [clips, features].
            rank: most axes within classes; there are never more than clips − classes.
            explained_share: the axes within classes are cut where they explain this share of the variance there.
            labels: class of each clip, [clips]; None for one class.
            tokens: of an embedding; the remainder is the same for all.

        Raises:
            ValueError: fewer than two clips, or clips that are all equal: nothing spans an axis.
        """
        clips = len(embeddings)
        mean = embeddings.mean(0)
        classes = 1 if labels is None else int(labels.max()) + 1
        means = mean[None] if labels is None else _means(embeddings, labels, classes)
        within = embeddings if labels is None or classes == 1 else embeddings - means[labels]
        centre = mean if within is embeddings else torch.zeros_like(mean)
        size = float(sum(part.square().sum() for part in torch.split(embeddings, _at_once(clips), dim=1))) / clips
        variances, axes = _principal_axes(within, centre, min(rank, clips - classes), explained_share, size)
        if classes > 1:
            axes = torch.cat([axes, _axes_between(means, mean, axes, size)])
        if not len(axes):
            raise ValueError(f"{clips} clips that do not differ span no axis")
        if classes > 1:
            along = torch.cat([part @ axes.double().T for part in _parts_of_clips(embeddings, mean)])
            variances = along.square().sum(0) / (clips - 1)
        return cls(mean, variances.sqrt().float(), axes, _remainder(within, centre, axes, clips - classes, tokens))

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

    def beyond(self, noise: Tensor) -> Tensor:
        """(1 − AᵀA) D^½ ε, [clips, features]: what samples have beyond the axes.

        Args:
            noise: ε, standard normal, [clips, features].
        """
        if self.axes is None or self.remainder is None:
            return torch.zeros_like(noise)
        scaled = noise * self.remainder.repeat(noise.shape[1] // len(self.remainder))
        return scaled - (scaled @ self.axes.T) @ self.axes

    def state(self) -> dict[str, Tensor]:
        """Its tensors, by name."""
        axes = {} if self.axes is None else {"projection.axes": self.axes}
        remainder = {} if self.remainder is None else {"projection.remainder": self.remainder}
        return {"projection.mean": self.mean, "projection.scale": self.scale, **axes, **remainder}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], public: str | None = None) -> Self:
        """The projection that gave `state`.

        Args:
            state: its tensors.
            public: digest of the public basis that it is.
        """
        axes, remainder = (state.get(f"projection.{name}") for name in ("axes", "remainder"))
        return cls(state["projection.mean"], state["projection.scale"], axes, remainder, public)


def projection_shapes(kind: object, rank: int, features: int, remainder: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a projection's `state` by name.

    Args:
        kind: `pca`, `public` or `none`.
        rank: coordinates of an embedding.
        features: tokens × dim of an embedding.
        remainder: dim of an embedding where what lies beyond axes is modelled; 0 where it is not.

    Raises:
        ValueError: there is no such projection.
    """
    shapes: dict[str, tuple[int, ...]] = {"projection.mean": (features,), "projection.scale": (rank,)}
    match kind:
        case "pca" | "public":
            beyond = {"projection.remainder": (remainder,)} if remainder else {}
            return shapes | {"projection.axes": (rank, features)} | beyond
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
    if kind in ("none", "public"):
        return 4 * min(clips, CLIPS_AT_ONCE) * features
    side = min(clips, features)
    # The matrix and its copy, which becomes its vectors, their order turned, and LAPACK's syevd: 1 + 6 n + 2 n².
    decomposition = 8 * 5 * side**2
    part = min(8 * clips * features, PART_BYTES)
    within = 4 * clips * features  # the clips around the means of their classes
    return within + max(decomposition, 8 * side**2 + 3 * part) + part


def _means(embeddings: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean of each class, [classes, features]."""
    return torch.stack([embeddings[labels == label].mean(0) for label in range(classes)])


def _principal_axes(
    embeddings: Tensor, mean: Tensor, rank: int, explained_share: float, size: float
) -> tuple[Tensor, Tensor]:
    """Variances [axes] and axes [axes, features] around a mean; none where there is no variance.

    Args:
        embeddings: [clips, features].
        mean: [features].
        rank: most axes.
        explained_share: where they are cut.
        size: mean square of the clips that the axes are for.
    """
    clips, features = embeddings.shape
    variances, vectors = _decomposed(embeddings, mean)
    usable = int((variances > max(SMALLEST_VARIANCE_SHARE * float(variances[0]), ROUNDING_SHARE * size)).sum())
    if usable == 0 or rank < 1:
        return variances[:0], embeddings.new_zeros(0, features)
    variances = variances[:usable]
    wanted = int((variances.cumsum(0) / variances.sum() < explained_share).sum()) + 1
    kept = min(rank, usable, wanted)
    variances, vectors = variances[:kept], vectors[:, :kept]
    if clips <= features:
        weights = (_upright(vectors, vectors) / (variances * (clips - 1)).sqrt()).T  # (Λ (n − 1))^(−½) Uᵀ
        return variances, torch.cat([(weights @ part).float() for part in _parts_of_features(embeddings, mean)], dim=1)
    along = torch.cat([part @ vectors for part in _parts_of_clips(embeddings, mean)])  # [clips, rank]
    return variances, _upright(vectors, along).T.float().contiguous()


def _axes_between(means: Tensor, mean: Tensor, axes: Tensor, size: float) -> Tensor:
    """Axes [axes, features] of what class means differ by beyond other axes.

    Args:
        means: of classes, [classes, features].
        mean: of all clips, [features].
        axes: orthonormal, [rank, features].
        size: mean square of the clips.
    """
    beyond = means.double() - mean.double()
    for _ in range(2):  # once more: what rounding leaves along axes grows when a small rest is made a unit long
        beyond = beyond - (beyond @ axes.double().T) @ axes.double()
    variances, vectors = torch.linalg.eigh(beyond @ beyond.T)
    kept = variances > max(SMALLEST_VARIANCE_SHARE * float(variances[-1]), ROUNDING_SHARE * size)
    kept[:1] = False  # K means around a mean of theirs differ along K − 1 axes
    vectors = _upright(vectors[:, kept].flip(1), vectors[:, kept].flip(1))
    axes = (vectors / variances[kept].flip(0).sqrt()).T @ beyond
    return axes.float()


def _remainder(embeddings: Tensor, mean: Tensor, axes: Tensor, freedom: int, tokens: int) -> Tensor:
    """D^½, deviation of the features of a token beyond axes, [dim].

    Of residuals r = (1 − AᵀA) e of e with variance D, E r_f² is about (1 − Σ_j A_jf²) D_f; both are summed over clips
    and tokens.

    Args:
        embeddings: [clips, features].
        mean: around which they are, [features].
        axes: A, [rank, features].
        freedom: degrees of freedom of the clips around the mean.
        tokens: of an embedding.
    """
    total = torch.zeros(embeddings.shape[1], dtype=torch.double)
    for part in _parts_of_clips(embeddings, mean):
        part -= (part @ axes.double().T) @ axes.double()
        total += part.square().sum(0)
    share = (1 - axes.double().square().sum(0)).view(tokens, -1).sum(0)
    variances = total.view(tokens, -1).sum(0) / max(freedom, 1) / share.clamp(min=1 / axes.shape[1])
    return variances.sqrt().float()


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
