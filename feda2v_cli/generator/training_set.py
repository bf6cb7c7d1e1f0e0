"""What a generator is trained on: the embeddings of its clips, in the coordinates of its projection."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.principal_components import PrincipalComponents, class_moments
from feda2v_cli.generator.projection import ROUNDING_SHARE, Projection
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.threads import threads_per_operation


@dataclass(frozen=True)
class TrainingSet:
    """What one generator is trained on, in its own coordinates.

    Attributes:
        spec: which generator.
        projection: from embeddings to coordinates.
        coordinates: [clips, rank].
        labels: index of each clip's class in `spec.classes`, [clips].
        shape: tokens and dim of an embedding.
    """

    spec: GeneratorSpec
    projection: Projection
    coordinates: Tensor
    labels: Tensor
    shape: tuple[int, int]

    def components(self, shrinkage: float) -> PrincipalComponents:
        """Mean and principal components of each class's coordinates, of a covariance that is shrunk."""
        with threads_per_operation(1):
            moments = class_moments(self.coordinates, self.labels, len(self.spec.classes), shrinkage)
            return PrincipalComponents.of(moments, self.projection.scale)


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
    features = embeddings.flatten(1)
    with threads_per_operation(1):
        projection = (
            Projection.pca(features, section.rank, section.explained_share)
            if section.projection == "pca"
            else Projection.none(features)
        )
        coordinates = projection.project(features)
    places = {name: place for place, name in enumerate(spec.classes)}
    labels = torch.tensor([places[name] for name in class_names])
    return TrainingSet(spec, projection, coordinates, labels, (tokens, dim))


def differ(embeddings: Tensor) -> bool:
    """Whether clips differ by more than rounding, so that something can be learnt from them.

    Args:
        embeddings: [clips, tokens, dim].
    """
    size = embeddings.square().mean(0).sum()
    return bool((embeddings - embeddings.mean(0)).square().mean(0).sum() > ROUNDING_SHARE * size)


def largest_rank(clips: int, features: int, section: GeneratorSection) -> int:
    """Most coordinates that a projection of so many clips can have."""
    return features if section.projection == "none" else max(1, min(section.rank, clips - 1, features))
