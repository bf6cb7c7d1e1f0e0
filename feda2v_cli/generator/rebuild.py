"""From what a checkpoint holds to a generator."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from feda2v_cli.generator.gaussian import GaussianSampler
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.vae_sampler import VaeSampler

#: More than any model has: an architecture beyond it is damaged or forged, and is refused before anything is built.
LARGEST_SIZE = 1 << 24


def state_shapes(architecture: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Name, shape and type of every tensor of an architecture. Nothing of its size is allocated.

    Raises:
        ValueError: a size is missing or senseless, or the type of generator is unknown.
    """
    tokens, dim, rank, classes = (_size(architecture, key) for key in ("tokens", "dim", "rank", "classes"))
    features = tokens * dim
    shapes: dict[str, tuple[int, ...]] = {"projection.mean": (features,), "projection.scale": (rank,)}
    match architecture.get("projection"):
        case "pca":
            shapes["projection.axes"] = (rank, features)
        case "none" if rank == features:
            pass
        case other:
            raise ValueError(f"projection {other!r} with rank {rank} and {features} features")
    components = _size(architecture, "directions")
    match architecture.get("type"):
        case "gaussian":
            model = GaussianSampler.shapes(rank, classes, components)
        case "vae":
            hidden, latent = _size(architecture, "hidden"), _size(architecture, "latent")
            model = VaeSampler.shapes(rank, classes, components, hidden, latent)
        case other:
            raise ValueError(f"generator type {other!r}")
    shapes |= {f"model.{name}": shape for name, shape in model.items()}
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
    sampler = (GaussianSampler if architecture["type"] == "gaussian" else VaeSampler).from_state(model)
    shape = (architecture["tokens"], architecture["dim"])
    return Generator(classes, shape, Projection.from_state(state), sampler)


def _size(architecture: Mapping[str, Any], key: str) -> int:
    value = architecture.get(key)
    if type(value) is not int or not 0 < value <= LARGEST_SIZE:
        raise ValueError(f"{key} is {value!r}")
    return value
