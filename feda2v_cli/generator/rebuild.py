"""From what a checkpoint holds to a generator."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.registry import GENERATORS, state_shapes_of

#: More than any model has: an architecture beyond it is damaged or forged, and is refused before anything is built.
LARGEST_SIZE = 1 << 24


def state_shapes(architecture: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Name, shape and type of every tensor of an architecture. Nothing of its size is allocated.

    Raises:
        ValueError: a size is missing or senseless, or the type of generator is unknown.
    """
    tokens, dim, rank, classes = (_size(architecture, key) for key in ("tokens", "dim", "rank", "classes"))
    name = architecture.get("type")
    if type(name) is not str or name not in GENERATORS:
        raise ValueError(f"generator type {name!r}")
    sizes = {key: _size(architecture, key) for key in GENERATORS[name].size_names}
    public = architecture.get("public_basis")
    if (architecture.get("projection") == "public") != (type(public) is str):
        raise ValueError(f"public_basis {public!r} with projection {architecture.get('projection')!r}")
    remainder = architecture.get("remainder")
    if remainder not in (None, "diagonal"):
        raise ValueError(f"remainder {remainder!r}")
    features, beyond = tokens * dim, dim if remainder else 0
    shapes = state_shapes_of(name, architecture.get("projection"), features, rank, classes, sizes, beyond)
    return {name: (shape, torch.float32) for name, shape in shapes.items()}


def count_parameters(architecture: Mapping[str, Any]) -> int:
    """How many numbers the tensors of an architecture hold.

    Raises:
        ValueError: as `state_shapes`.
    """
    return sum(math.prod(shape) for shape, _ in state_shapes(architecture).values())


def rebuild(architecture: Mapping[str, Any], classes: Sequence[str], state: Mapping[str, Tensor]) -> Generator:
    """The generator that a checkpoint holds.

    Args:
        architecture: as `Generator.architecture` gives it.
        classes: its classes, in the order that conditions it.
        state: its tensors by name.

    Raises:
        ValueError: tensors or classes do not fit the architecture.
    """
    shapes = state_shapes(architecture)
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    if found != shapes or len(classes) != architecture["classes"]:
        wrong = sorted(name for name in shapes.keys() | found.keys() if shapes.get(name) != found.get(name))
        raise ValueError(f"{len(classes)} classes; tensors that do not fit the architecture: {', '.join(wrong)}")
    model = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
    projection = Projection.from_state(state, architecture.get("public_basis"))
    sampler = GENERATORS[architecture["type"]].sampler(model, projection.scale)
    shape = (architecture["tokens"], architecture["dim"])
    return Generator(classes, shape, projection, sampler)


def _size(architecture: Mapping[str, Any], key: str) -> int:
    value = architecture.get(key)
    if type(value) is not int or not 0 < value <= LARGEST_SIZE:
        raise ValueError(f"{key} is {value!r}")
    return value
