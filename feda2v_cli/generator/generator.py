"""A trained generator: it draws labelled samples in the embedding's own units."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import UsageError, closest
from feda2v_cli.generator.balanced import opposite_normal
from feda2v_cli.generator.projection import Projection

#: Bytes of samples that are restored together.
_PART_BYTES = 128 * 1024**2


class Sampler(Protocol):
    """Draws whitened coordinates of classes."""

    #: Name of its type of generator.

    type: ClassVar[str]

    def draw(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples].

        Args:
            labels: indices of classes, [samples].
            random: the stream.
        """
        ...

    def architecture(self) -> dict[str, int]:
        """Sizes that rebuild it, beside rank and number of classes."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        ...


@runtime_checkable
class LatentSampler(Sampler, Protocol):
    """A sampler that can also tell the latent of a clip."""

    def latent_means(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        """Mean of the latent of clips, [clips, latent].

        Args:
            coordinates: [clips, rank].
            labels: class of each, [clips].
        """
        ...


class Generator:
    """Draws labelled samples of audio embeddings.

    Args:
        classes: that it can make, in the order that conditions it.
        shape: tokens and dim of an embedding.
        projection: from embeddings to the coordinates in which it works.
        sampler: draws coordinates.
    """

    def __init__(
        self, classes: Sequence[str], shape: tuple[int, int], projection: Projection, sampler: Sampler
    ) -> None:
        self.classes = tuple(classes)
        self.shape = shape
        self._projection = projection
        self._sampler = sampler

    @property
    def sampler(self) -> Sampler:
        """What draws its coordinates."""
        return self._sampler

    @property
    def projection(self) -> Projection:
        """From embeddings to the coordinates in which it works."""
        return self._projection

    @property
    def parameters(self) -> int:
        """How many numbers its tensors hold."""
        return sum(tensor.numel() for tensor in self.state().values())

    def sample(self, labels: Sequence[str], seed: int = 0) -> Tensor:
        """Draw one sample for each label.

        Args:
            labels: classes, as many as samples are wanted.
            seed: the same labels and seed give the same samples.

        Returns:
            Embeddings in the encoder's own units, float32 [samples, tokens, dim].

        Raises:
            UsageError: a label is none of its classes.
        """
        parts = list(self.sample_in_parts(labels, seed))
        return parts[0] if len(parts) == 1 else torch.cat([torch.empty(0, *self.shape), *parts])

    def sample_in_parts(self, labels: Sequence[str], seed: int = 0) -> Iterator[Tensor]:
        """The same samples, some at a time: embeddings of all tokens are long.

        Args:
            labels: as `sample` takes them.
            seed: likewise.

        Yields:
            Embeddings [some, tokens, dim], in the order of the labels.

        Raises:
            UsageError: a label is none of its classes.
        """
        for label in labels:
            if label not in self.classes:
                near = closest(label, self.classes)
                raise UsageError(
                    f"the generator cannot make {label}",
                    [f"it makes {', '.join(self.classes)}"] + ([f"did you mean {near}?"] if near else []),
                )
        indices = torch.tensor([self.classes.index(label) for label in labels], dtype=torch.long)
        at_once = max(1, _PART_BYTES // (4 * self.shape[0] * self.shape[1]))
        random = random_stream(seed, "beyond the axes")
        parts = (torch.split(values, at_once) for values in (self.coordinates(indices, seed), indices))
        for coordinates, labels_of_part in zip(*parts, strict=True):
            noise = opposite_normal(labels_of_part, self.shape[0] * self.shape[1], random)
            samples = self._projection.restore(coordinates) + self._projection.beyond(noise)
            yield samples.view(-1, *self.shape)

    def coordinates(self, labels: Tensor, seed: int) -> Tensor:
        """Samples before they are restored, [samples, rank].

        Args:
            labels: indices of classes, [samples].
            seed: of the random stream.
        """
        return self._sampler.draw(labels, random_stream(seed, "sample"))

    def architecture(self) -> dict[str, Any]:
        """Everything that rebuilds it but its tensors and the names of its classes, in plain values."""
        return {
            "type": self._sampler.type,
            "tokens": self.shape[0],
            "dim": self.shape[1],
            "projection": self._kind_of_projection(),
            **({} if self._projection.public is None else {"public_basis": self._projection.public}),
            "rank": self._projection.rank,
            "classes": len(self.classes),
            **({"remainder": "diagonal"} if "model.remainder" in self.state() else {}),
            **self._sampler.architecture(),
        }

    def state(self) -> dict[str, Tensor]:
        """Its tensors by name, float32."""
        return self._projection.state() | {f"model.{name}": value for name, value in self._sampler.state().items()}

    def _kind_of_projection(self) -> str:
        if self._projection.public is not None:
            return "public"
        return "none" if self._projection.axes is None else "pca"
