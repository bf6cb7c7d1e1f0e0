"""What a type of generator is to everything around it: how it is sized, fitted and rebuilt.

A type is one file that holds all of this, a line in `registry` and its name in `profile.generator_names`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from feda2v_cli.engine.memory import Cost
from feda2v_cli.generator.generator import Generator, Sampler
from feda2v_cli.generator.training_set import TrainingSet
from feda2v_cli.profile.schema import GeneratorSection

Shapes = dict[str, tuple[int, ...]]


class Fitting(Protocol):
    """Generators that are being fitted together."""

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:
        """Fit for a round; losses of its last epoch by name, each [generators]. One is named "loss"."""
        ...

    def generator(self, index: int) -> Generator:
        """One of the generators as it is now."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """All that fitting has to know to go on."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`."""
        ...


class GeneratorType(Protocol):
    """A type of generator. It works on coordinates; how embeddings are projected on them is no matter of its."""

    #: Whether it is fitted in one round, without epochs and without an optimiser.
    closed_form: ClassVar[bool]
    #: What an architecture says of it beside rank and number of classes: keys of `largest_sizes`, of
    #: `Sampler.architecture` and of a checkpoint.
    size_names: ClassVar[tuple[str, ...]]

    def largest_sizes(
        self, samples_per_class: Mapping[str, int], rank: int, section: GeneratorSection
    ) -> dict[str, int]:
        """Its sizes by name, at most; known before any clip is read.

        Args:
            samples_per_class: clips of each class.
            rank: coordinates of an embedding.
            section: of the profile.
        """
        ...

    def shapes(self, rank: int, classes: int, sizes: Mapping[str, int]) -> Shapes:
        """Shapes of its tensors by name; they are float32. Nothing of their size is allocated.

        Args:
            rank: coordinates of an embedding.
            classes: how many it makes.
            sizes: by the names in `size_names`.
        """
        ...

    def training_cost(self, clips: int, classes: int, rank: int, section: GeneratorSection) -> Cost:
        """What training one takes of memory, beside its projection and its finished tensors.

        Args:
            clips: that train it.
            classes: how many it makes.
            rank: coordinates of an embedding.
            section: of the profile.
        """
        ...

    def fitting(
        self,
        sets: Sequence[TrainingSet],
        section: GeneratorSection,
        *,
        learning_rate: float,
        seed: int,
        device: torch.device,
    ) -> Fitting:
        """Fit generators together.

        Args:
            sets: one training set a generator, with equally many steps an epoch.
            section: of the profile.
            learning_rate: of these generators.
            seed: of the run.
            device: where training happens.
        """
        ...

    def sampler(self, state: Mapping[str, Tensor], scale: Tensor) -> Sampler:
        """The sampler whose `state` this is; names and shapes are those of `shapes`.

        Args:
            state: its tensors by name.
            scale: size of each coordinate in an embedding's own units, [rank].
        """
        ...
