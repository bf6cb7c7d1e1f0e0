"""Reads a pickle without unpickling it: an allow-list of instructions, tensors as references, nothing executed.

`torch.save` pickles dicts whose tensors are a handful of well-known calls. This machine follows those calls by name and
builds plain values; whatever else a pickle asks for is refused with its name, before it could happen.
"""

import pickle
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from feda2v_cli.checkpoint.defect import Corrupt, Unsafe
from feda2v_cli.checkpoint.format.references import (
    CALLS,
    ELEMENT_BYTES,
    STORAGE_DTYPES,
    Global,
    StorageReference,
    short,
)

#: Instructions that a pickle may have. The largest server file of the earlier system needs about 120,000.
MOST_INSTRUCTIONS = 500_000
#: Bytes of the largest integer: tensors and metadata need 8.
_LARGEST_INTEGER_BYTES = 16


@dataclass(frozen=True)
class Pickled:
    """What a pickle holds.

    Attributes:
        value: dicts, lists, tuples, text, numbers, booleans and None, with a `TensorReference` for each tensor.
        storages: every storage that it speaks of, by key.
    """

    value: Any
    storages: dict[str, StorageReference]


def read_pickle(stream: BinaryIO) -> Pickled:
    """The plain values of the pickle that begins where the stream stands; the stream is left behind its end.

    Raises:
        Unsafe: it asks for anything else; the message names it.
        Corrupt: it is no pickle, or a damaged one.
    """
    machine = _Machine()
    try:
        for _ in range(MOST_INSTRUCTIONS):
            code = stream.read(1)
            if code == pickle.STOP:
                break
            read_argument, step = _INSTRUCTIONS.get(code, _UNKNOWN)
            step(machine, read_argument(stream))
        else:
            raise Corrupt(f"the pickle has more than {MOST_INSTRUCTIONS} instructions")
        (value,) = machine.stack
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError, struct.error) as error:
        raise Corrupt(f"the pickle is damaged: {short(str(error))}") from error
    return Pickled(value, machine.storages)


class _Machine:
    """The stack machine of a pickle, for the instructions that tensors and plain values need."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, StorageReference] = {}

    def pop_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items


def _push(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _push_integer(machine: _Machine, argument: int) -> None:
    if argument.bit_length() > 8 * _LARGEST_INTEGER_BYTES:
        raise Corrupt("the pickle holds a huge integer")
    machine.stack.append(argument)


def _mark(machine: _Machine, _: Any) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: _Machine, _: Any) -> None:
    machine.stack.pop()


def _put(machine: _Machine, argument: Any) -> None:
    machine.memo[int(argument)] = machine.stack[-1]


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: _Machine, argument: Any) -> None:
    machine.stack.append(machine.memo[int(argument)])


def _tuple_of(count: int) -> "_Step":
    def step(machine: _Machine, _: Any) -> None:
        items = tuple(machine.stack[len(machine.stack) - count :])
        if len(items) != count:
            raise Corrupt("the pickle is damaged: its stack is empty")
        del machine.stack[len(machine.stack) - count :]
        machine.stack.append(items)

    return step


def _tuple(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    machine.stack.append(tuple(items))


def _list(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    machine.stack.append(items)


def _dict(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    machine.stack.append({})
    _fill(machine.stack[-1], items)


def _append(machine: _Machine, _: Any) -> None:
    item = machine.stack.pop()
    _extend(machine.stack[-1], [item])


def _appends(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    _extend(machine.stack[-1], items)


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _fill(machine.stack[-1], [key, value])


def _set_items(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    _fill(machine.stack[-1], items)


def _extend(target: Any, items: list[Any]) -> None:
    if type(target) is not list:
        raise Unsafe(f"the pickle appends to a {type(target).__name__}")
    target.extend(items)


def _fill(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict):
        raise Unsafe(f"the pickle sets items of a {type(target).__name__}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # The hash of nested tuples can take for ever.
        if type(key) not in (str, int, float, bool):
            raise Unsafe(f"the pickle has a dict key that is a {type(key).__name__}")
        target[key] = value


def _global(machine: _Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    _push_allowed(machine, module, name)


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    _push_allowed(machine, module, name)


def _push_allowed(machine: _Machine, module: Any, name: Any) -> None:
    if type(module) is not str or type(name) is not str:
        raise Corrupt("the pickle is damaged: a name is no text")
    asked = Global(module, name)
    if module == "torch" and name in ELEMENT_BYTES:
        machine.stack.append(str(asked))
    elif asked in CALLS or (module == "torch" and name in STORAGE_DTYPES):
        machine.stack.append(asked)
    else:
        raise Unsafe(f"the pickle asks for {short(str(asked))}, which is no tensor and no plain value")


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, asked = machine.stack.pop(), machine.stack.pop()
    if type(asked) is not Global or asked not in CALLS or type(arguments) is not tuple:
        raise Unsafe(f"the pickle calls a {type(asked).__name__}")
    machine.stack.append(CALLS[asked](*arguments))


def _build(machine: _Machine, _: Any) -> None:
    machine.stack.pop()
    # A module's state dict carries the versions of its layers as an attribute; nothing here reads it.
    if type(machine.stack[-1]) is not OrderedDict:
        raise Unsafe(f"the pickle sets attributes of a {type(machine.stack[-1]).__name__}")


def _storage(machine: _Machine, _: Any) -> None:
    kind, storage, key, _location, elements = machine.stack.pop()[:5]
    if kind != "storage" or type(storage) is not Global or type(key) is not str or type(elements) is not int:
        raise Corrupt("the pickle is damaged: a storage has no name")
    if elements < 0:
        raise Corrupt("the pickle is damaged: a storage has a negative size")
    # An untyped storage is bytes; the tensor says later what they are.
    reference = StorageReference(key, STORAGE_DTYPES.get(storage.name, "uint8"), elements)
    if machine.storages.setdefault(key, reference) != reference:
        raise Corrupt(f"the pickle is damaged: record data/{key} is said to be two things")
    machine.stack.append(reference)


_Step = Callable[[_Machine, Any], None]
#: What each instruction that a pickle may have does, by its name in `pickletools`.
STEPS: dict[str, _Step] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda _machine, _argument: None),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINFLOAT", "FLOAT"), _push),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES"), _push),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG"), _push_integer),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "MARK": _mark,
    "POP": _pop,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": _memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "EMPTY_TUPLE": _tuple_of(0),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "TUPLE": _tuple,
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "LIST": _list,
    "APPEND": _append,
    "APPENDS": _appends,
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "DICT": _dict,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _storage,
}


def _refusal(name: str) -> _Step:
    def refuse(_: _Machine, argument: Any) -> None:
        asked = str(argument).replace(" ", ".") if name == "INST" else f"instruction {name}"
        raise Unsafe(f"the pickle asks for {short(asked)}, which is no tensor and no plain value")

    return refuse


def _not_an_instruction(_machine: _Machine, _argument: Any) -> None:
    raise Corrupt("the pickle is damaged or truncated")


def _no_argument(_: BinaryIO) -> None:
    return None


def _two_lines(stream: BinaryIO) -> str:
    """Module and name, with a space between them. `pickletools` also undoes escapes, which no pickler writes."""
    module, name = stream.readline(), stream.readline()
    if not (module.endswith(b"\n") and name.endswith(b"\n")):
        raise Corrupt("the pickle is damaged or truncated")
    return f"{module[:-1].decode()} {name[:-1].decode()}"


def _instruction(opcode: pickletools.OpcodeInfo) -> tuple[Callable[[BinaryIO], Any], _Step]:
    if opcode.name in ("GLOBAL", "INST"):
        return _two_lines, STEPS.get(opcode.name, _refusal(opcode.name))
    if opcode.name not in STEPS:
        return _no_argument, _refusal(opcode.name)
    return opcode.arg.reader if opcode.arg else _no_argument, STEPS[opcode.name]


#: By its byte: what reads an instruction's argument, and what it does.
_INSTRUCTIONS = {opcode.code.encode("latin-1"): _instruction(opcode) for opcode in pickletools.opcodes}
_UNKNOWN = (_no_argument, _not_an_instruction)
