"""Trains VAEs, many in one stack, and says what one is to the rest of the system."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from feda2v_cli.engine.memory import Cost
from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.engine.stack import Stack
from feda2v_cli.engine.train import ModelData, Optimiser, Trainer
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.generator_type import Shapes
from feda2v_cli.generator.principal_components import first_columns
from feda2v_cli.generator.training_set import TrainingSet, largest_width
from feda2v_cli.generator.vae import ConditionalVae, initial_parameters, learned_components, vae_loss
from feda2v_cli.generator.vae_sampler import VaeSampler
from feda2v_cli.profile.schema import GeneratorSection
from feda2v_cli.threads import threads_per_operation

#: Clips of a step where the profile does not say.
CLIPS_A_STEP = 16

#: Steps of an epoch, at most, where the profile does not say how many clips a step has. What a generator learns takes
#: some thousands of steps, however many clips there are, and a step on many clips is cheaper than many on few: the
#: optimiser reads and writes all weights in each.
MOST_STEPS = 32


def optimiser(section: GeneratorSection, learning_rate: float) -> Optimiser:
    """The optimiser that a profile asks for."""
    most_steps = MOST_STEPS if section.batch_size is None else None
    batch_size = section.batch_size or CLIPS_A_STEP
    return Optimiser(batch_size, learning_rate, section.weight_decay, section.clip_norm, most_steps)


class VaeFitting:
    """VAEs of one stack.

    Args:
        sets: one training set a generator, with equally many steps an epoch.
        section: architecture and training.
        learning_rate: of the stack.
        seed: of the run.
        device: where training happens.
    """

    def __init__(
        self,
        sets: Sequence[TrainingSet],
        section: GeneratorSection,
        learning_rate: float,
        seed: int,
        device: torch.device,
    ) -> None:
        self._sets = sets
        self._section = section
        self._components = [data.components(section) for data in sets]
        # Models of fewer classes are filled up with zeros, which take no part in the loss.
        classes = max(len(data.spec.classes) for data in sets)
        padded = self._module(classes)
        shapes = {name: value.shape for name, value in padded.named_parameters()}
        self._stack = Stack.of([_filled(self._initial_parameters(data, seed), shapes) for data in sets], device)
        self._trainer = Trainer(
            self._stack,
            [self._model_data(index, classes) for index in range(len(sets))],
            vae_loss(
                padded,
                kl_warmup_share=section.kl_warmup_share,
                free_bits=section.free_bits,
                input_noise=section.noise,
            ),
            optimiser(section, learning_rate),
            seed,
        )

    def train_round(self, round_number: int, on_epoch: Callable[[int], None] | None = None) -> dict[str, Tensor]:
        """Train for a round; losses of its last epoch by name, each [generators], in nats a clip."""
        return self._trainer.train_round(round_number, self._section.rounds, self._section.epochs, on_epoch)

    def generator(self, index: int) -> Generator:
        """One of the VAEs as it is now, without what it was filled up with."""
        data = self._sets[index]
        module, padded = self._module(len(data.spec.classes)), self._stack.model(index)
        own = {
            name: padded[name][tuple(slice(size) for size in value.shape)].clone()
            for name, value in module.named_parameters()
        }
        module.load_state_dict(own, assign=True)
        with threads_per_operation(1):  # the same bits whatever the number of cores
            sampler = VaeSampler.standardised(module, self._components[index], self._learned(index))
        return Generator(data.spec.classes, data.shape, data.projection, sampler)

    def state(self) -> Mapping[str, Tensor]:
        """Parameters and the optimiser's moments."""
        return self._stack.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a `state`."""
        self._stack.restore(state)

    def _module(self, classes: int) -> ConditionalVae:
        with torch.device("meta"):
            return ConditionalVae(classes, self._section.hidden, self._section.latent)

    def _initial_parameters(self, data: TrainingSet, seed: int) -> dict[str, Tensor]:
        random = random_stream(seed, data.spec.node, data.spec.key, "start")
        return initial_parameters(self._module(len(data.spec.classes)), random)

    def _learned(self, index: int) -> Tensor:
        counts = torch.bincount(self._sets[index].labels, minlength=len(self._sets[index].spec.classes))
        return learned_components(counts, self._components[index].counts, self._section.latent)

    def _model_data(self, index: int, classes: int) -> ModelData:
        data, components, learned = self._sets[index], self._components[index], self._learned(index)
        latent = self._section.latent
        with threads_per_operation(1):
            scores = components.scores(data.coordinates, data.labels)
        # Components whose shape is not learned stay a Gaussian's; their likelihood is a constant of each clip.
        beyond = torch.arange(components.width) >= learned.sum(1)[data.labels][:, None]
        return ModelData(
            identity=(data.spec.node, data.spec.key),
            items={
                "scores": first_columns(scores, latent),
                "remainder": (beyond * components.negative_log_likelihood(scores, data.labels)).sum(1),
                "one_hot": torch.nn.functional.one_hot(data.labels, classes).float(),
            },
            noise=2 * latent,
            constants={"learned": torch.nn.functional.pad(learned, (0, 0, 0, classes - len(learned)))},
        )


def _filled(parameters: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    filled = {}
    for name, value in parameters.items():
        filled[name] = value.new_zeros(shapes[name])
        filled[name][tuple(slice(size) for size in value.shape)] = value
    return filled


class Vae:
    """The type `vae`."""

    closed_form: ClassVar[bool] = False
    size_names: ClassVar[tuple[str, ...]] = ("directions", "hidden", "latent")

    def largest_sizes(
        self, samples_per_class: Mapping[str, int], rank: int, section: GeneratorSection
    ) -> dict[str, int]:
        """Most principal components that a class can have, width of the hidden layers and number of latent units."""
        components = largest_width(samples_per_class, rank, section)
        return {"directions": components, "hidden": section.hidden, "latent": section.latent}

    def shapes(self, rank: int, classes: int, sizes: Mapping[str, int]) -> Shapes:
        """Shapes of the components, of the standardisation and of the module's parameters."""
        return VaeSampler.shapes(rank, classes, sizes["directions"], sizes["hidden"], sizes["latent"])

    def training_cost(self, clips: int, classes: int, rank: int, section: GeneratorSection) -> Cost:
        """The module's parameters, and what a step keeps for its gradient."""
        with torch.device("meta"):
            module = ConditionalVae(classes, section.hidden, section.latent)
        return Cost(
            weights=sum(value.numel() for value in module.parameters()),
            # Hidden layers before and after their activation, scores, latents, and the terms of the loss.
            activations=8 * section.hidden + 20 * section.latent,
            # Scores, likelihood of the remainder and classes; and what an epoch draws: noise, order and mask.
            data=clips * (section.latent + 1 + classes + 2 * section.latent + 3),
            batch=-(-clips // optimiser(section, section.learning_rate).steps_per_epoch(clips)),
            held=4 * clips * rank,
        )

    def fitting(
        self,
        sets: Sequence[TrainingSet],
        section: GeneratorSection,
        *,
        learning_rate: float,
        seed: int,
        device: torch.device,
    ) -> VaeFitting:
        """VAEs that train in one stack."""
        return VaeFitting(sets, section, learning_rate, seed, device)

    def sampler(self, state: Mapping[str, Tensor], scale: Tensor) -> VaeSampler:
        """The sampler whose `state` this is, of coordinates of a scale [rank]."""
        return VaeSampler.from_state(state, scale)
