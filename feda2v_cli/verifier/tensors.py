"""The tensors of a checkpoint: finite, shaped as the architecture says, and good for a sample. Needs PyTorch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.content import is_checkpoint
from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.file import load_content
from feda2v_cli.checkpoint.format.archive import Archive
from feda2v_cli.checkpoint.format.opening import OpenFile, opened
from feda2v_cli.checkpoint.metadata import AdapterMetadata, GeneratorMetadata, Metadata
from feda2v_cli.errors import first_line
from feda2v_cli.legacy.checkpoint import elements_in, read_legacy
from feda2v_cli.verifier.inspection import archive_in

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Elements of a tensor that are looked at together: memory does not grow with the tensor.
_ELEMENTS_AT_ONCE = 1 << 22
_SAMPLE_SEED = 0


def check_file(path: Path) -> list[Defect]:
    """What is wrong with the tensors of a file whose bytes are sound.

    Args:
        path: the file.
    """
    try:
        with opened(path) as file:
            archive = archive_in(file)
            if archive is None or not is_checkpoint(archive):
                return list(_not_finite_of_legacy(file, archive))
        content, state = load_content(path, Metadata)
    except Defect as defect:
        return [defect]
    return check_state(content.metadata, state) or list(_misread(path, content.metadata, state))


def check_state(metadata: Metadata, state: Mapping[str, "Tensor"]) -> list[Defect]:
    """What is wrong with the tensors of a generator or of adapters.

    Args:
        metadata: how they are built.
        state: tensors by name.
    """
    assert isinstance(metadata, AdapterMetadata | GeneratorMetadata)  # every kind that there is
    try:
        expected = _shapes(metadata)
    except Exception as error:  # noqa: BLE001 - the architecture is data of unknown origin
        return [Defect("FA008", f"has an architecture that cannot be built: {first_line(error):.200}")]
    defects = list(_misfits(expected, state)) + list(not_finite(state))
    return defects or list(_bad_sample(metadata, state))


def _shapes(metadata: AdapterMetadata | GeneratorMetadata) -> "dict[str, tuple[tuple[int, ...], torch.dtype]]":
    """Shape and type of every tensor, as the architecture says.

    Raises:
        ValueError: the architecture is senseless, or the other metadata speak of another one.
    """
    from feda2v_cli.adapter import adapter_shapes
    from feda2v_cli.generator.rebuild import state_shapes

    built = metadata.architecture
    if isinstance(metadata, AdapterMetadata):
        _require_equal("dim", built.get("dim"), metadata.embedding_shape[1])
        return adapter_shapes(built)
    _require_equal("type", built.get("type"), metadata.generator_type)
    _require_equal("classes", built.get("classes"), len(metadata.generator_classes))
    _require_equal("embedding shape", (built.get("tokens"), built.get("dim")), metadata.embedding_shape)
    return state_shapes(built)


def _require_equal(what: str, built: object, said: object) -> None:
    if built != said:
        raise ValueError(f"it is said to have {what} {said!r:.40}, and is built with {built!r:.40}")


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


def _bad_sample(metadata: AdapterMetadata | GeneratorMetadata, state: Mapping[str, "Tensor"]) -> Iterator[Defect]:
    """Draw one sample of each class, or adapt one embedding: what cannot is no model."""
    import torch

    from feda2v_cli.adapter import adapt
    from feda2v_cli.generator.rebuild import rebuild

    word = "points of the target space" if isinstance(metadata, AdapterMetadata) else "samples"
    try:
        if isinstance(metadata, GeneratorMetadata):
            generator = rebuild(metadata.architecture, metadata.generator_classes, state)
            made = [generator.sample(metadata.generator_classes, _SAMPLE_SEED)]
        else:
            embedding = state["embedding.mean"].expand(1, *metadata.embedding_shape)
            made = list(adapt(metadata.architecture, state, embedding).values())
    except Exception as error:  # noqa: BLE001 - whatever a rebuilt model does wrong
        yield Defect("FA008", f"gives no {word}: {first_line(error):.200}")
        return
    if not all(bool(torch.isfinite(one).all()) for one in made):
        yield Defect("FA011", f"gives {word} that are NaN or infinite")


def _misread(path: Path, metadata: Metadata, state: Mapping[str, "Tensor"]) -> Iterator[Defect]:
    """FA008: what PyTorch loads by itself is not what was checked. Then others would use something else than we do."""
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        said, tensors = type(metadata).from_dict(loaded["metadata"]), loaded[metadata.state_key]
        same = tensors.keys() == state.keys() and all(
            type(tensor) is torch.Tensor and tensor.dtype == state[name].dtype and torch.equal(tensor, state[name])
            for name, tensor in tensors.items()
        )
    except Exception as error:  # noqa: BLE001 - PyTorch raises whatever it likes
        yield Defect("FA008", f"cannot be loaded by PyTorch: {first_line(error):.200}")
        return
    if not same or said != metadata:
        yield Defect("FA008", "is loaded by PyTorch as something else than its records hold")


def _not_finite_of_legacy(file: OpenFile, archive: Archive | None) -> Iterator[Defect]:
    """FA011: storages of a file of the earlier system that hold NaN or infinity. Each is looked at once."""
    import torch

    legacy = read_legacy(file, archive)
    for storage, elements in elements_in(file, archive):
        if elements and not _is_finite(torch.frombuffer(bytearray(elements), dtype=getattr(torch, storage.dtype))):
            name = legacy.tensor_in(storage)
            about = f"tensor {name}" if name else f"record data/{storage.key}"
            yield Defect("FA011", f"{about} holds NaN or infinite values", name)


def _is_finite(tensor: "Tensor") -> bool:
    import torch

    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    flat = tensor.detach().reshape(-1)
    starts = range(0, flat.numel(), _ELEMENTS_AT_ONCE)
    return all(bool(torch.isfinite(flat[start : start + _ELEMENTS_AT_ONCE]).all()) for start in starts)


def _word(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
