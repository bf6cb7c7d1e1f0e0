"""Tensors that a pickle speaks of, without their elements."""

from dataclasses import dataclass

from feda2v_cli.checkpoint.defect import Corrupt

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
    """

    storage: StorageReference
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        reach = sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        fits = min(self.shape, default=1) == 0 or self.offset + reach < self.storage.elements
        if min((*self.shape, *self.stride, self.offset), default=0) < 0 or not fits:
            raise Corrupt(f"a tensor of shape {list(self.shape)} reaches beyond its record data/{self.storage.key}")
