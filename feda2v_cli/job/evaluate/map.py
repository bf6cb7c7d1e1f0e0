"""A map of embeddings: clips held out and samples, by class, on the two axes along which the clips vary most."""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from feda2v_cli.quality.measures import Labelled

#: Of all classes together, clips and samples each: more of them hide each other, and make a run's summary large.
MOST_POINTS = 1500
#: The map is some hundred pixels wide.
_DIGITS = 4


@dataclass(frozen=True)
class Points:
    """Embeddings of clips held out and of the first draw's samples, standardised.

    Attributes:
        classes: names, in the order of the labels.
        clips: held out.
        samples: as many as clips trained.
    """

    classes: tuple[str, ...]
    clips: Labelled
    samples: Labelled


@dataclass(frozen=True)
class EmbeddingMap:
    """Points on a plane, by class.

    Attributes:
        clips: of each class, [clips, 2].
        samples: of each class, as many as clips where there are so many, [samples, 2].
    """

    clips: dict[str, Tensor]
    samples: dict[str, Tensor]

    @classmethod
    def of(cls, points: Points) -> Self:
        """The map of some embeddings."""
        most = max(1, MOST_POINTS // len(points.classes))
        clips = {name: points.clips.of(label)[:most] for label, name in enumerate(points.classes)}
        plane = _principal_plane(torch.cat(list(clips.values())))
        samples = {
            name: points.samples.of(label)[: len(clips[name])] @ plane for label, name in enumerate(points.classes)
        }
        return cls({name: values @ plane for name, values in clips.items()}, samples)

    def to_dict(self) -> dict[str, Any]:
        """Its values as JSON has them: by class, pairs of coordinates."""
        return {
            name: {place: _rounded(values) for place, values in kind.items()}
            for name, kind in (("clips", self.clips), ("samples", self.samples))
        }


def _principal_plane(clips: Tensor) -> Tensor:
    """Two axes along which clips vary most, [features, 2].

    Of centred clips X they are Xᵀv for the eigenvectors v of XXᵀ: embeddings have more features than there are clips.
    """
    centred = (clips - clips.mean(0)).double()
    _, vectors = torch.linalg.eigh(centred @ centred.T)
    axes = torch.nn.functional.normalize(centred.T @ vectors[:, -2:].flip(1), dim=0)
    axes = axes * axes.sum(0).sign()  # of an axis and its opposite always the same
    return torch.nn.functional.pad(axes, (0, 2 - axes.shape[1])).float()


def _rounded(values: Tensor) -> list[list[float]]:
    return [[round(value, _DIGITS) for value in pair] for pair in values.tolist()]
