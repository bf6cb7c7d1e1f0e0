"""The types of generators there are, and what a profile alone says of the size of one."""

import math
from collections.abc import Mapping
from dataclasses import replace

from feda2v_cli.engine.memory import Cost
from feda2v_cli.generator.gaussian import Gaussian
from feda2v_cli.generator.generator_type import GeneratorType, Shapes
from feda2v_cli.generator.principal_components import PrincipalComponents
from feda2v_cli.generator.projection import fitting_bytes, projection_shapes
from feda2v_cli.generator.training_set import largest_rank
from feda2v_cli.generator.vae_fitting import Vae, optimiser
from feda2v_cli.profile.schema import GeneratorSection

#: By name; `profile.generator_names` has the same names.
GENERATORS: Mapping[str, GeneratorType] = {
    "vae": Vae(),
    "gaussian": Gaussian(),
}


def rounds_and_epochs(section: GeneratorSection) -> tuple[int, int]:
    """Rounds that fitting takes, and epochs of a round; a closed form takes one of each."""
    return (1, 1) if GENERATORS[section.type].closed_form else (section.rounds, section.epochs)


def same_steps(clips: int, section: GeneratorSection, learning_rate: float) -> tuple[int, float]:
    """What generators must have in common to be trained in one stack."""
    return optimiser(section, learning_rate).steps_per_epoch(clips), learning_rate


def largest_shapes(
    samples_per_class: Mapping[str, int], features: int, section: GeneratorSection, dim: int | None = None
) -> Shapes:
    """Shapes of a generator's tensors by name, at most.

    Args:
        samples_per_class: clips of each class.
        features: tokens × dim of an embedding.
        section: its type and sizes.
        dim: of an embedding; None for as many as there are features.
    """
    rank = largest_rank(samples_per_class, features, section)
    sizes = GENERATORS[section.type].largest_sizes(samples_per_class, rank, section)
    classes, beyond = len(samples_per_class), dim or features
    return state_shapes_of(section.type, section.projection, features, rank, classes, sizes, beyond)


def state_shapes_of(
    name: str, projection: object, features: int, rank: int, classes: int, sizes: Mapping[str, int], remainder: int
) -> Shapes:
    """Shapes of a generator's tensors by name: its projection's and its model's.

    Args:
        name: of its type.
        projection: kind of projection.
        features: tokens × dim of an embedding.
        rank: coordinates of an embedding.
        classes: that it makes.
        sizes: of the model, by the names that its type gives them.
        remainder: dim of an embedding where what lies beyond axes and components is modelled; 0 where it is not.

    Raises:
        ValueError: there is no such projection.
    """
    model = GENERATORS[name].shapes(rank, classes, sizes)
    if not remainder:
        model.pop("remainder")
    shapes = {f"model.{own}": shape for own, shape in model.items()}
    return projection_shapes(projection, rank, features, remainder) | shapes


def cost(samples_per_class: Mapping[str, int], features: int, section: GeneratorSection) -> Cost:
    """What one generator needs in memory while it trains.

    Args:
        samples_per_class: clips of each class that it can make.
        features: tokens × dim of an embedding.
        section: its type and sizes.
    """
    clips, classes = sum(samples_per_class.values()), len(samples_per_class)
    rank = largest_rank(samples_per_class, features, section)
    training = GENERATORS[section.type].training_cost(clips, classes, rank, section)
    finished = sum(math.prod(shape) for shape in largest_shapes(samples_per_class, features, section).values())
    return replace(training, held=training.held + 4 * (finished - training.weights))


def set_up_bytes(samples_per_class: Mapping[str, int], features: int, section: GeneratorSection) -> int:
    """What it takes of the host's memory to make one generator's training set, before any training.

    Args:
        samples_per_class: clips of each class that it can make.
        features: tokens × dim of an embedding.
        section: its type and sizes.
    """
    clips = sum(samples_per_class.values())
    embeddings = 4 * clips * features
    rank = largest_rank(samples_per_class, features, section)
    projecting = 2 * embeddings + fitting_bytes(section.projection, clips, features)
    return max(projecting, PrincipalComponents.fitting_bytes(clips, rank))
