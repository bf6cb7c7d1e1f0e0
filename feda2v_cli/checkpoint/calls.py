"""What a pickle of tensors and plain values may call, and what that gives without calling it."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from feda2v_cli.checkpoint.defect import Corrupt, Unsafe
from feda2v_cli.checkpoint.reference import StorageReference, TensorReference


class Global(NamedTuple):
    """Something that a pickle asks for by module and name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def short(text: str, limit: int = 80) -> str:
    """A text of unknown length, cut so that a message stays a line."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _tensor(storage: StorageReference, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Any:
    if type(storage) is not StorageReference or any(type(item) is not int for item in (offset, *shape, *stride)):
        raise Corrupt("the pickle is damaged: a tensor has no storage, shape or stride")
    return TensorReference(storage, offset, tuple(shape), tuple(stride))


def _parameter(tensor: TensorReference, *_: Any) -> TensorReference:
    if type(tensor) is not TensorReference:
        raise Corrupt("the pickle is damaged: a parameter is no tensor")
    return tensor


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
