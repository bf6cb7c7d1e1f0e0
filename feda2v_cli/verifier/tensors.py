"""The tensors of a checkpoint: finite, shaped as the architecture says, and good for a sample. Needs PyTorch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.errors import first_line

if TYPE_CHECKING:
    from torch import Tensor

#: Elements of a tensor that are looked at together: memory does not grow with the tensor.
_ELEMENTS_AT_ONCE = 1 << 22
_SAMPLE_SEED = 0


def check_file(path: Path, metadata: GeneratorMetadata | None) -> Iterator[Defect]:
    """What is wrong with the tensors of a file whose bytes are sound.

    Args:
        path: the file.
        metadata: what it says of itself; None for a file of the earlier system, whose values alone can be checked.
    """
    import torch

    try:
        # Mapped, so that a tensor is in memory only while it is looked at.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_archive(path))
    except Exception as error:  # noqa: BLE001 - PyTorch raises whatever it likes
        yield Defect("FA008", f"cannot be loaded by PyTorch: {first_line(error):.200}")
        return
    if metadata is None:
        yield from not_finite(dict(_tensors(content)))
    else:
        yield from check_state(metadata, content["generator_state_dict"])


def check_state(metadata: GeneratorMetadata, state: Mapping[str, "Tensor"]) -> list[Defect]:
    """What is wrong with a generator's tensors.

    Args:
        metadata: how the generator is built.
        state: tensors by name.
    """
    from feda2v_cli.generator.rebuild import state_shapes

    built = metadata.architecture.get("type")
    if built != metadata.generator_type:
        return [Defect("FA008", f"is said to be of type {metadata.generator_type} and built as {built!r:.40}")]
    try:
        expected = state_shapes(metadata.architecture)
    except Exception as error:  # noqa: BLE001 - the architecture is data of unknown origin
        return [Defect("FA008", f"has an architecture that cannot be built: {first_line(error):.200}")]
    defects = list(_misfits(expected, state)) + list(not_finite(state))
    return defects or list(_bad_sample(metadata, state))


def not_finite(state: Mapping[str, "Tensor"]) -> Iterator[Defect]:
    """FA011: tensors that hold NaN or infinity."""
    for name, tensor in state.items():
        if not _is_finite(tensor):
            yield Defect("FA011", f"tensor {name} holds NaN or infinite values", name)


def _misfits(expected: Mapping[str, tuple[tuple[int, ...], object]], state: Mapping[str, "Tensor"]) -> Iterator[Defect]:
    for name in expected.keys() - state.keys():
        yield Defect("FA008", f"tensor {name} is missing", name)
    for name, tensor in state.items():
        if name not in expected:
            yield Defect("FA008", f"tensor {name} is not of its architecture", name)
            continue
        shape, dtype = expected[name]
        if tuple(tensor.shape) != tuple(shape):
            problem = f"tensor {name} has shape {list(tensor.shape)}, its architecture {list(shape)}"
            yield Defect("FA008", problem, name)
        elif tensor.dtype != dtype:
            yield Defect("FA008", f"tensor {name} is {_word(tensor.dtype)}, its architecture {_word(dtype)}", name)


def _bad_sample(metadata: GeneratorMetadata, state: Mapping[str, "Tensor"]) -> Iterator[Defect]:
    """Draw one sample of each class: a generator that cannot is none."""
    import torch

    from feda2v_cli.generator.rebuild import rebuild

    try:
        generator = rebuild(metadata.architecture, metadata.generator_classes, state)
        samples = generator.sample(metadata.generator_classes, _SAMPLE_SEED)
    except Exception as error:  # noqa: BLE001 - whatever a rebuilt model does wrong
        yield Defect("FA008", f"gives no sample: {first_line(error):.200}")
        return
    if tuple(samples.shape[1:]) != metadata.embedding_shape:
        yield Defect("FA008", f"gives samples of shape {list(samples.shape[1:])}, not {list(metadata.embedding_shape)}")
    elif not torch.isfinite(samples).all():
        yield Defect("FA011", "gives samples that are NaN or infinite")


def _is_finite(tensor: "Tensor") -> bool:
    import torch

    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    flat = tensor.detach().reshape(-1)
    starts = range(0, flat.numel(), _ELEMENTS_AT_ONCE)
    return all(bool(torch.isfinite(flat[start : start + _ELEMENTS_AT_ONCE]).all()) for start in starts)


def _tensors(value: object, place: str = "") -> Iterator[tuple[str, "Tensor"]]:
    """Every tensor in nested dicts and lists, by its place."""
    import torch

    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{place}.{index}")


def _is_archive(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def _word(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
