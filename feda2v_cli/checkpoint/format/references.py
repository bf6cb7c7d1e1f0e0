"""What a pickle of tensors and plain values may hold: tensors without their elements, and the calls that make them."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from feda2v_cli.checkpoint.defect import Corrupt, Unsafe

#: Bytes of an element, by the name that PyTorch's storages and dtypes have in a pickle.
ELEMENT_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "complex128": 16, "complex64": 8,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
#: Type of a storage's elements, by the storage's class.
STORAGE_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64", "LongStorage": "int64",
    "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StorageReference:
    """The memory of a tensor, which lies in a record of its own.

    Attributes:
        key: what the record is called.
        dtype: type of its elements.
        elements: how many there are.
    """

    key: str
    dtype: str
    elements: int


@dataclass(frozen=True, slots=True)
class TensorReference:
    """A tensor that a pickle speaks of.

    Attributes:
        storage: where its elements lie.
        offset: its first element there.
        shape: its size along each axis.
        stride: elements between neighbours along each axis.
        requires_grad: whether PyTorch would keep gradients for it.
    """

    storage: StorageReference
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False

    def __post_init__(self) -> None:
        reach = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        fits = min(self.shape, default=1) == 0 or self.offset + reach < self.storage.elements
        if min((*self.shape, *self.stride, self.offset), default=0) < 0 or not fits:
            raise Corrupt(f"a tensor of shape {list(self.shape)} reaches beyond its record data/{self.storage.key}")

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def is_dense(self) -> bool:
        """Whether it is its whole storage, element after element, the last axis fastest."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            # Between the elements of an axis that has one there is no step.
            if size > 1 and stride != step:
                return self.storage.elements == self.elements == 0
            step *= size
        return self.offset == 0 and self.storage.elements == self.elements


class Global(NamedTuple):
    """Something that a pickle asks for by module and name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def short(text: str, limit: int = 80) -> str:
    """A text of unknown length, cut so that a message stays a line."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _tensor(
    storage: StorageReference,
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> TensorReference:
    if type(storage) is not StorageReference or any(type(item) is not int for item in (offset, *shape, *stride)):
        raise Corrupt("the pickle is damaged: a tensor has no storage, shape or stride")
    # PyTorch would hang hooks on the tensor, or negate it.
    if type(requires_grad) is not bool or hooks or metadata:
        raise Unsafe("the pickle asks for a tensor with hooks or attributes")
    return TensorReference(storage, offset, tuple(shape), tuple(stride), requires_grad)


def _parameter(tensor: TensorReference, *_: Any) -> TensorReference:
    if type(tensor) is not TensorReference:
        raise Corrupt("the pickle is damaged: a parameter is no tensor")
    return replace(tensor, requires_grad=True)


def _ordered_dict(*arguments: Any) -> dict[Any, Any]:
    if arguments:
        raise Unsafe("the pickle builds an OrderedDict from something")
    return OrderedDict()


def _size(shape: Any) -> tuple[int, ...]:
    return tuple(shape)


def _device(*words: Any) -> str:
    return ":".join(short(str(word)) for word in words if type(word) in (str, int))


def _untyped(*_: Any) -> None:
    raise Unsafe("the pickle builds a storage of its own")


#: What stands for each call.
CALLS: dict[Global, Callable[..., Any]] = {
    Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Global("torch._utils", "_rebuild_parameter"): _parameter,
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("torch", "Size"): _size,
    Global("torch", "device"): _device,
    Global("torch.storage", "UntypedStorage"): _untyped,
}
