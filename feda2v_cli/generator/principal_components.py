"""Principal components of each class: along what its clips differ, those that move embeddings farthest first."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.balanced import opposite_normal

#: Below this share of the first component's deviation, a deviation is what rounding has left.
SMALLEST_DEVIATION_SHARE = 1e-6

#: Rows that are decomposed together, at least: what bounds the memory however many clips there are.
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class ClassMoments:
    """Mean μ_k and covariance Σ_k of each class k.

    Attributes:
        means: μ, [classes, rank].
        roots: R_k of each class, [rows, rank]; Σ_k = R_kᵀ R_k. Without shrinkage its rows are the class's own clips.
            They stay small where a covariance of rank × rank would not: a dense model has thousands of coordinates.
    """

    means: Tensor
    roots: tuple[Tensor, ...]


def class_moments(coordinates: Tensor, labels: Tensor, classes: int, shrinkage: float) -> ClassMoments:
    """Means and shrunk covariances: of few clips alone a covariance is mostly noise.

    Each class's covariance is mixed with the pooled one of all classes, as in regularised discriminant analysis
    (Friedman, 1989, equation 16, which mixes scatters in place of covariances): with S_k = Σ (x − μ_k)(x − μ_k)ᵀ, the
    scatter of the n_k clips x of class k,

        Σ_k(λ) = (1 − λ) S_k / (n_k − 1) + λ Σ_j S_j / (n − K).

    With one class the two are the same. A class of one clip has no covariance of its own; it takes the pooled one, or
    its samples would all be that clip.

    Args:
        coordinates: x, [clips, rank].
        labels: [clips], each from 0 to classes − 1; every class has a clip.
        classes: K, how many there are.
        shrinkage: λ, share of the pooled covariance, 0 to 1.
    """
    one_hot = torch.nn.functional.one_hot(labels, classes).to(coordinates.dtype)  # [clips, classes]
    counts = one_hot.sum(0)
    means = one_hot.T @ coordinates / counts[:, None]
    centred = coordinates - means[labels]
    own = 1 / (counts - 1).clamp(min=1)  # [classes]
    shares = torch.where(counts > 1, shrinkage, 1.0)  # [classes]
    if classes == 1 or not shares.any():  # with one class the pooled covariance is its own
        return ClassMoments(means, tuple(own[label].sqrt() * centred[labels == label] for label in range(classes)))
    pooled = _reduced(centred) / max(len(labels) - classes, 1) ** 0.5
    # Σ_k is a sum of two covariances; its root has the rows of both their roots.
    roots = (
        torch.cat([((1 - share) * weight).sqrt() * centred[labels == label], share.sqrt() * pooled])
        for label, (share, weight) in enumerate(zip(shares, own, strict=True))
    )
    return ClassMoments(means, tuple(roots))


def _reduced(rows: Tensor) -> Tensor:
    """R with RᵀR = XᵀX of many rows X, as many rows as columns; X itself of less than twice as many.

    Of X = Q R, R alone is computed: RᵀR = RᵀQᵀQ R = XᵀX. A part of the rows after the other joins it, so that memory
    does not grow with the rows beside what they take themselves.
    """
    width = rows.shape[1]
    if len(rows) < 2 * width:
        return rows
    reduced = rows.new_zeros(0, width, dtype=torch.double)
    for part in torch.split(rows, max(ROWS_AT_ONCE, width)):
        reduced = torch.linalg.qr(torch.cat([reduced, part.double()]), mode="r").R
    return reduced


@dataclass(frozen=True)
class PrincipalComponents:
    """Mean and principal components of each class, and what lies beyond them: x = μ_k + L_k t + R_k ε.

    The scores t of a class's clips have mean zero and covariance one; ε is noise, independent in every coordinate
    (probabilistic PCA with a variance of each coordinate: Tipping and Bishop, 1999).

    Attributes:
        means: μ, [classes, rank].
        loadings: L, [classes, rank, width]; a column says how coordinates move for one standard deviation along a
            component. A class with fewer components than others has columns of zeros behind its own.
        scale: size of each coordinate in an embedding's own units, [rank].
        remainder: R, deviation of each coordinate beyond the components, [classes, rank]; None for files of earlier
            versions, which have none.
    """

    means: Tensor
    loadings: Tensor
    scale: Tensor
    remainder: Tensor | None

    @classmethod
    def of(cls, moments: ClassMoments, scale: Tensor, most: Sequence[int] | None = None) -> Self:
        """Principal components (Jolliffe, Principal Component Analysis, 2002) of each class's covariance.

        They are those of the embedding's own units, D Σ_k D = V Λ Vᵀ with D = diag(scale), from the singular value
        decomposition R_k D = U Λ^½ Vᵀ (section 3.5); back in coordinates the loadings are L_k = D⁻¹ V Λ^½.

        Args:
            moments: of the coordinates of each class.
            scale: size of each coordinate in an embedding's own units, [rank].
            most: components of each class; None keeps all.
        """
        found, beyond = [], []
        for label, root in enumerate(moments.roots):  # one at a time: without a projection, its coordinates are many
            _, deviations, axes = torch.linalg.svd(_reduced(root).double() * scale.double(), full_matrices=False)
            kept = deviations > SMALLEST_DEVIATION_SHARE * deviations[0]
            if most is not None:
                kept[most[label] :] = False
            axes, deviations = axes[kept], deviations[kept]
            # Of an axis and its opposite, the one that moves the coordinate it moves most upwards.
            signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
            loadings_of_class = (signs * axes * deviations[:, None] / scale.double()).T
            found.append(loadings_of_class.float())
            # R_k² = diag(Σ_k − L_k L_kᵀ): every coordinate has the variance of the clips.
            variances = root.double().square().sum(0) - loadings_of_class.square().sum(1)
            beyond.append(torch.where(kept.all(), 0.0, variances.clamp(min=0).sqrt()).float())
        width = max(1, *(loading.shape[1] for loading in found))
        loadings = [torch.nn.functional.pad(loading, (0, width - loading.shape[1])) for loading in found]
        return cls(moments.means, torch.stack(loadings), scale, torch.stack(beyond))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], scale: Tensor) -> Self:
        """The components whose `state` is among some tensors.

        Args:
            state: tensors by name.
            scale: size of each coordinate in an embedding's own units, [rank].
        """
        return cls(state["means"], state["loadings"], scale, state.get("remainder"))

    @staticmethod
    def shapes(rank: int, classes: int, width: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name."""
        return {"means": (classes, rank), "loadings": (classes, rank, width), "remainder": (classes, rank)}

    @staticmethod
    def largest_width(counts: Mapping[str, int], rank: int, shrinkage: float, most: int | None = None) -> int:
        """Most components that a class can have.

        Args:
            counts: clips of each class.
            rank: coordinates of an embedding.
            shrinkage: share of the pooled covariance in each class's.
            most: that are kept of any class; None keeps all.
        """
        pooled = shrinkage > 0 or min(counts.values()) < 2
        freedom = sum(counts.values()) - len(counts) if pooled else max(counts.values()) - 1
        return max(1, min(rank, freedom, freedom if most is None else most))

    @staticmethod
    def fitting_bytes(clips: int, rank: int) -> int:
        """Bytes that finding them takes, beside themselves: the clips around their means, and one class decomposed.

        Args:
            clips: of all classes.
            rank: coordinates of an embedding.
        """
        rows = min(clips, ROWS_AT_ONCE)
        # A root and its copy in double precision, the two sides of its decomposition, and LAPACK's own.
        return 2 * 4 * clips * rank + 8 * (2 * rows * rank + 4 * min(rows, rank) * rank)

    @property
    def width(self) -> int:
        """Components of the class that has most."""
        return self.loadings.shape[2]

    @property
    def counts(self) -> Tensor:
        """How many components each class has, [classes]."""
        return self.loadings.any(1).sum(1)

    def coordinates(self, scores: Tensor, labels: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Coordinates x = μ_k + L_k t + R_k ε [samples, rank] of scores.

        Args:
            scores: t, in standard deviations, [samples, width].
            labels: class of each, [samples].
            random: its seed seeds the stream of ε, whatever has been drawn of it; None leaves ε out.
        """
        moved = torch.empty(len(labels), self.means.shape[1])
        for label in torch.unique(labels):
            of_class = labels == label
            moved[of_class] = self.means[label] + scores[of_class] @ self.loadings[label].T
        if random is None or self.remainder is None or not self.remainder.any():
            return moved
        own = random_stream(random.initial_seed(), "remainder")
        return moved + self.remainder[labels] * opposite_normal(labels, moved.shape[1], own)

    def scores(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        """Scores t = (D L_k)⁺ D (x − μ_k) [clips, width], with D the scale: along what components they lie.

        Args:
            coordinates: x, [clips, rank].
            labels: class of each, [clips].
        """
        scores = torch.empty(len(labels), self.width)
        for label in torch.unique(labels):
            of_class = labels == label
            scaled = self.scale.double()[:, None] * self.loadings[label].double()
            inverse = torch.linalg.pinv(scaled, rtol=SMALLEST_DEVIATION_SHARE)
            centred = self.scale.double() * (coordinates[of_class].double() - self.means[label].double())
            scores[of_class] = (centred @ inverse.T).float()
        return scores

    def negative_log_likelihood(self, scores: Tensor, labels: Tensor) -> Tensor:
        """−log N(t; 0, 1) = ½ t² + ½ log 2π along each component, in nats [clips, width]; 0 where a class has none.

        The unit of length is a standard deviation along each component, so that it can be told how much less a
        generator has that knows more of a class than its Gaussian.

        Args:
            scores: t, [clips, width].
            labels: class of each, [clips].
        """
        there = torch.arange(self.width) < self.counts[labels][:, None]
        return there * (0.5 * scores.square() + 0.5 * math.log(2 * math.pi))

    def state(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        remainder = {} if self.remainder is None else {"remainder": self.remainder}
        return {"means": self.means, "loadings": self.loadings, **remainder}


def first_columns(scores: Tensor, count: int) -> Tensor:
    """Scores along the first components, [clips, count]; zero beyond those that there are.

    Args:
        scores: [clips, width].
        count: of components.
    """
    return torch.nn.functional.pad(scores[:, :count], (0, max(0, count - scores.shape[1])))
