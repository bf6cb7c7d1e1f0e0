"""What a generator is trained on: the embeddings of its clips, in the coordinates of its projection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.generator.axes import axes_of_class
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.principal_components import PrincipalComponents, class_moments
from feda2v_cli.generator.projection import ROUNDING_SHARE, Projection
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.threads import threads_per_operation

#: Most axes within the classes of a generator, whose number is chosen by their clips.
LARGEST_RANK = 256
#: Coordinates on a public basis, unless its clips span fewer.
LARGEST_PUBLIC_RANK = 128


@dataclass(frozen=True)
class TrainingSet:
    """What one generator is trained on, in its own coordinates.

    Attributes:
        spec: which generator.
        projection: from embeddings to coordinates.
        coordinates: [clips, rank].
        labels: index of each clip's class in `spec.classes`, [clips].
        shape: tokens and dim of an embedding.
        released: means and components on a public basis, which is all that is told of the clips then; None where they
            are taken of the coordinates.
    """

    spec: GeneratorSpec
    projection: Projection
    coordinates: Tensor
    labels: Tensor
    shape: tuple[int, int]
    released: PrincipalComponents | None = None

    def components(self, section: GeneratorSection) -> PrincipalComponents:
        """Mean and principal components of each class's coordinates.

        Args:
            section: says how much of the covariance is shared, and how many components are kept.
        """
        if self.released is not None:
            return self.released
        classes = len(self.spec.classes)
        counts = torch.bincount(self.labels, minlength=classes).tolist()
        most = [axes_of_class(count) for count in counts] if section.rank == "auto" else None
        with threads_per_operation(1):
            moments = class_moments(self.coordinates, self.labels, classes, section.shrinkage)
            return PrincipalComponents.of(moments, self.projection.scale, most)


def training_set(
    spec: GeneratorSpec, embeddings: Tensor, class_names: Sequence[str], section: GeneratorSection
) -> TrainingSet:
    """Project a generator's clips on the coordinates in which it will be trained.

    One thread does it, or the axes would depend in their last digits on how many cores there are.

    Args:
        spec: which generator.
        embeddings: [clips, tokens, dim].
        class_names: of each clip.
        section: says how to project.

    Raises:
        ValueError: the clips do not differ, so that nothing can be learnt from them.
    """
    tokens, dim = embeddings.shape[1:]
    places = {name: place for place, name in enumerate(spec.classes)}
    labels = torch.tensor([places[name] for name in class_names])
    counts = dict(zip(spec.classes, torch.bincount(labels, minlength=len(places)).tolist(), strict=True))
    with threads_per_operation(1):
        features = with_shrunk_means(embeddings, labels).flatten(1)
        projection = (
            Projection.pca(features, axes_within(counts, section), section.explained_share, labels, tokens)
            if section.projection == "pca"
            else Projection.none(features)
        )
        coordinates = projection.project(features)
    return TrainingSet(spec, projection, coordinates, labels, (tokens, dim))


def with_shrunk_means(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Clips moved together with their class's mean, whose tokens differ by less, [clips, tokens, dim].

    What the tokens of a class's mean differ by is partly what its few clips happened to be. It is shrunk by the share
    that chance explains, the positive part of the estimator of James and Stein (1961), here of a mean's tokens m_t
    around their mean m, whose n clips differ around it with the variance v_t:

        m_t ← m + (1 − Σ_t ‖v_t‖₁ / n / Σ_t ‖m_t − m‖²)₊ (m_t − m)

    The mean is nearer to that of the class then, and tells less of single clips: numbers without meaning are what
    tells those most.

    Args:
        embeddings: [clips, tokens, dim].
        labels: class of each clip, [clips].
    """
    if embeddings.shape[1] == 1:
        return embeddings
    moved = embeddings.clone()
    for label in torch.unique(labels):
        own = embeddings[labels == label]
        if len(own) < 2:
            continue
        apart = own - own.mean(1, keepdim=True)  # [clips, tokens, dim]
        mean = apart.mean(0)
        by_chance = float(apart.var(0).double().sum()) / len(own)
        kept = max(0.0, 1 - by_chance / max(float(mean.double().square().sum()), torch.finfo(torch.double).tiny))
        moved[labels == label] = own - (1 - kept) * mean
    return moved


def differ(embeddings: Tensor) -> bool:
    """Whether clips differ by more than rounding, so that something can be learnt from them.

    Args:
        embeddings: [clips, tokens, dim].
    """
    size = embeddings.square().mean(0).sum()
    return bool((embeddings - embeddings.mean(0)).square().mean(0).sum() > ROUNDING_SHARE * size)


def axes_within(samples_per_class: Mapping[str, int], section: GeneratorSection) -> int:
    """Most principal axes within classes."""
    if section.rank == "auto":
        return min(LARGEST_RANK, sum(map(axes_of_class, samples_per_class.values())))
    rank: int = section.rank
    return rank


def largest_rank(samples_per_class: Mapping[str, int], features: int, section: GeneratorSection) -> int:
    """Most coordinates that a projection of so many clips of each class can have."""
    if section.projection == "none":
        return features
    if section.projection == "public":
        return min(features, LARGEST_PUBLIC_RANK if section.rank == "auto" else section.rank)
    classes, clips = len(samples_per_class), sum(samples_per_class.values())
    within = min(axes_within(samples_per_class, section), clips - classes)
    return max(1, min(within + classes - 1, features))


def largest_width(samples_per_class: Mapping[str, int], rank: int, section: GeneratorSection) -> int:
    """Most components that a class can have.

    Args:
        samples_per_class: clips of each class.
        rank: coordinates of an embedding.
        section: of the profile.
    """
    if section.projection == "public":
        return rank
    most = max(map(axes_of_class, samples_per_class.values())) if section.rank == "auto" else None
    return PrincipalComponents.largest_width(samples_per_class, rank, section.shrinkage, most)
