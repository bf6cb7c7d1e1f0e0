# ruff: noqa: ARG005 - a change need not look at what it changes
"""Forged checkpoints: a sound one whose structure is changed and which is sealed again, so that no checksum tells.

A `Draft` is a checkpoint taken apart. A forgery changes one thing in it: a record, a field of the metadata, a tensor in
the pickle, or the bytes of the archive after it was put together.
"""

import copy
import hashlib
import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from feda2v_cli.checkpoint.format.archive import SEAL_BYTES, seal
from feda2v_cli.checkpoint.metadata import AdapterMetadata, GeneratorMetadata, fields_of

METADATA = "feda2v/metadata.json"


@dataclass
class Draft:
    """A checkpoint taken apart.

    Attributes:
        kind: generator or adapter.
        written: metadata of the record.
        pickled: metadata of the pickle.
        state: what the pickle holds as tensors.
        records: contents of the records that are to be otherwise than PyTorch writes them; None for none.
        beside: more records.
        digests: SHA-256 of records that the metadata record is to claim; None for none.
        header: fields of the metadata record beside or in the place of the three.
        root: the archive's root folder.
        order: sorts the records; None leaves them as PyTorch writes them.
        member: changes a member of the archive before it is written.
        text: changes the metadata record's text.
        file: changes the archive's bytes before they are sealed.
    """

    kind: str
    written: dict[str, Any]
    pickled: dict[str, Any]
    state: Any
    records: dict[str, bytes | None] = field(default_factory=dict)
    beside: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str | None] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    root: str = "archive"
    order: Callable[[str], Any] | None = None
    member: Callable[[zipfile.ZipInfo], None] = lambda _: None
    text: Callable[[bytes], bytes] = lambda text: text
    file: Callable[[bytes], bytes] = lambda content: content

    @classmethod
    def of(cls, metadata: GeneratorMetadata | AdapterMetadata, state: dict[str, torch.Tensor]) -> "Draft":
        """A sound checkpoint taken apart."""
        return cls(metadata.kind, metadata.to_dict(), metadata.to_dict(), dict(state))

    def write(self, path: Path) -> None:
        """Put it together, and seal it."""
        file = io.BytesIO()
        torch.save({"metadata": self.pickled, f"{self.kind}_state_dict": self.state}, file)
        with zipfile.ZipFile(file) as archive:
            records = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        records |= self.records  # type: ignore[arg-type]
        present = {name: content for name, content in (records | self.beside).items() if content is not None}
        digests: dict[str, str | None] = {
            name: hashlib.sha256(content).hexdigest() for name, content in present.items()
        } | self.digests
        header = {
            "kind": self.kind,
            "metadata": self.written,
            "records": {name: digest for name, digest in digests.items() if digest is not None},
        } | self.header
        present[METADATA] = self.text(
            json.dumps({key: value for key, value in header.items() if value != "gone"}).encode()
        )
        names = sorted(present, key=self.order) if self.order else list(present)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for name in names:
                member = zipfile.ZipInfo(f"{self.root}/{name}" if self.root else name, (1980, 1, 1, 0, 0, 0))
                self.member(member)
                archive.writestr(member, present[name])
            archive.comment = seal("")
        unsealed = self.file(packed.getvalue())[:-SEAL_BYTES]
        path.write_bytes(unsealed + seal(hashlib.sha256(unsealed).hexdigest()))


Forgery = Callable[[Draft], None]

OTHER_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a negative number": -7,
    "a fraction": 0.5,
    "a huge number": 10**300,
    "a text": "whale",
    "a text with a line's end": "a\nb/../c\0",
    "half a surrogate pair": "\ud800",
    "a list": ["whale", "whale"],
    "an empty list": [],
    "a table": {"whale": 1},
    "an empty table": {},
    "lists in lists": None,
}
for _ in range(200):
    OTHER_VALUES["lists in lists"] = [OTHER_VALUES["lists in lists"]]


def forgeries(kind: str) -> dict[str, Forgery]:
    """Every forgery of a kind of checkpoint, by what it changes."""
    return {
        **dict(_of_metadata(list(fields_of(kind)))),
        **dict(_of_records()),
        **dict(_of_tensors()),
        **dict(_of_archives()),
    }


def _of_metadata(fields: list[str]) -> Iterator[tuple[str, Forgery]]:
    for name in fields:

        def remove(draft: Draft, name: str = name) -> None:
            del draft.written[name], draft.pickled[name]

        yield f"metadata: {name} gone", remove
        for words, value in OTHER_VALUES.items():

            def change(draft: Draft, name: str = name, value: Any = value) -> None:
                draft.written[name] = draft.pickled[name] = value

            yield f"metadata: {name} is {words}", change
        for place in ("written", "pickled"):

            def alone(draft: Draft, name: str = name, place: str = place) -> None:
                getattr(draft, place)[name] = [getattr(draft, place)[name]]

            yield f"metadata: {name} another in {place} alone", alone

    def add(draft: Draft) -> None:
        draft.written["more"] = draft.pickled["more"] = 1

    yield "metadata: one more field", add

    def like_true(draft: Draft) -> None:
        draft.pickled["round"] = float(draft.pickled["round"])

    yield "metadata: an integer is a number in the pickle", like_true

    def shared(draft: Draft) -> None:
        values: Any = []
        for _ in range(60):
            values = [values, values]
        draft.pickled["architecture"] = {"deep": values}

    yield "metadata: lists that share lists in the pickle", shared

    def own(draft: Draft) -> None:
        values: list[Any] = []
        values.append(values)
        draft.pickled["architecture"] = {"own": values}

    yield "metadata: a list that holds itself in the pickle", own


RECORDS = ("data.pkl", "data/0", "data/1", "byteorder", "version", ".format_version", ".storage_alignment")
STRANGERS = (
    "constants.pkl", ".data/version", "attributes.pkl", "code/__torch__.py", "model.json", "data", "data/99", "data/00",
    "extra/producersInfo.json", "METADATA.JSON", "feda2v/metadata.json.bak", "../up", "/root", "data//0", "data\\0",
    "bytecode.pkl", "debug_pkl/0", ".DATA/SERIALIZATION_ID", "a\nb",
)  # fmt: skip


def _of_records() -> Iterator[tuple[str, Forgery]]:
    serialization = ".data/serialization_id"
    for name in (*RECORDS, serialization):
        contents: dict[str, bytes | None] = {
            "gone": None,
            "empty": b"",
            "other bytes": b"\x80\x02N.",
            "text": b"whale",
            "a number": b"99",
            "zeros": b"\0" * 64,
        }
        for words, content in contents.items():

            def change(draft: Draft, name: str = name, content: bytes | None = content) -> None:
                draft.records[name] = content

            yield f"record {name}: {words}", change

        def twin(draft: Draft, name: str = name) -> None:
            draft.beside[name.upper()] = b"\1" * 128

        yield f"record {name}: a twin in capitals", twin

        def twin_before(draft: Draft, name: str = name) -> None:
            draft.beside[name.upper()] = b"\1" * 128
            draft.order = lambda name: (not name.isupper(), name)

        yield f"record {name}: a twin in capitals before it", twin_before

        def false_digest(draft: Draft, name: str = name) -> None:
            draft.digests[name] = "0" * 64

        yield f"record {name}: a false SHA-256", false_digest

        def no_digest(draft: Draft, name: str = name) -> None:
            draft.digests[name] = None

        yield f"record {name}: no SHA-256", no_digest
    for name in STRANGERS:

        def stranger(draft: Draft, name: str = name) -> None:
            draft.beside[name] = b"1"

        yield f"record {name!r}: a stranger", stranger

    def big(draft: Draft) -> None:
        draft.records["byteorder"] = b"big"

    yield "record byteorder: big", big

    def claimed(draft: Draft) -> None:
        draft.digests["data/77"] = "0" * 64

    yield "record data/77: claimed and not there", claimed
    headers: dict[str, dict[str, Any]] = {
        "another kind": {"kind": "embeddings"},
        "a list as kind": {"kind": ["generator"]},
        "no kind": {"kind": "gone"},
        "no metadata": {"metadata": "gone"},
        "no records": {"records": "gone"},
        "records as a list": {"records": []},
        "one more key": {"more": 1},
    }
    for words, changed in headers.items():

        def header(draft: Draft, changed: dict[str, Any] = changed) -> None:
            draft.header |= changed

        yield f"record {METADATA}: {words}", header
    texts: dict[str, Callable[[bytes], bytes]] = {
        "a key twice": lambda text: text.replace(b'"kind"', b'"kind": "whale", "kind"', 1),
        "a field twice": lambda text: text.replace(b'"base_name"', b'"base_name": "whale", "base_name"', 1),
        "UTF-16": lambda text: text.decode().encode("utf-16"),
        "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
        "not a number": lambda text: text.replace(b'"round": 10', b'"round": NaN', 1),
        "more after its end": lambda text: text + b"{}",
        "lists without end": lambda text: b"[" * 100_000,
        "no JSON": lambda text: b"\0" * len(text),
        "spaces": lambda text: text + b" \n",
    }
    for words, changed_text in texts.items():

        def text(draft: Draft, changed_text: Callable[[bytes], bytes] = changed_text) -> None:
            draft.text = changed_text

        yield f"record {METADATA}: {words}", text


class _Calls:
    """Pickles as any call that a tensor may be."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


def _of_tensors() -> Iterator[tuple[str, Forgery]]:
    """Changes of the first tensor of the state."""
    rebuild = torch._utils._rebuild_tensor_v2  # what a pickle calls
    views: dict[str, Callable[[torch.Tensor], Any]] = {
        "of stride 0": lambda tensor: tensor.flatten()[:1].expand(tensor.shape),
        "a billion numbers of stride 0": lambda tensor: tensor.flatten()[:1].expand(1 << 30),
        "a billion numbers that overlap": lambda tensor: tensor.flatten().as_strided((1 << 15, 1 << 15), (0, 0)),
        "of a larger storage": lambda tensor: torch.cat([tensor.flatten(), tensor.flatten()])[: tensor.numel()].view(
            tensor.shape
        ),
        "the end of a larger storage": lambda tensor: torch.cat([tensor.flatten(), tensor.flatten()])[
            tensor.numel() :
        ].view(tensor.shape),
        "every second number of a storage": lambda tensor: torch.stack([tensor, tensor], -1)[..., 0],
        "of another type": lambda tensor: tensor.double(),
        "of integers": lambda tensor: tensor.int(),
        "of complex numbers": lambda tensor: tensor.to(torch.complex64),
        "with one more axis": lambda tensor: tensor[None],
        "of another size": lambda tensor: torch.zeros(3),
        "empty": lambda tensor: torch.zeros(0),
        "NaN": lambda tensor: torch.full_like(tensor, float("nan")),
        "infinite": lambda tensor: torch.full_like(tensor, float("inf")),
        "one NaN": lambda tensor: torch.cat([tensor.flatten()[1:], torch.tensor([float("nan")])]).view(tensor.shape),
        "a parameter": lambda tensor: torch.nn.Parameter(tensor),
        "one that wants gradients": lambda tensor: tensor.clone().requires_grad_(),
        "negated": lambda tensor: _Calls(
            rebuild, tensor._typed_storage(), 0, tuple(tensor.shape), tensor.stride(), False, None, {"neg": True}
        ),
        "with hooks": lambda tensor: _Calls(
            rebuild, tensor._typed_storage(), 0, tuple(tensor.shape), tensor.stride(), False, OrderedDict(a=1)
        ),
        "of an offset below 0": lambda tensor: _Calls(
            rebuild, tensor._typed_storage(), -1, tuple(tensor.shape), tensor.stride(), False, OrderedDict()
        ),
        "of a stride below 0": lambda tensor: _Calls(
            rebuild, tensor._typed_storage(), 0, tuple(tensor.shape), (-1,) * tensor.dim(), False, OrderedDict()
        ),
        "of shape and stride of other lengths": lambda tensor: _Calls(
            rebuild, tensor._typed_storage(), 0, tuple(tensor.shape), (), False, OrderedDict()
        ),
        "a text": lambda tensor: "whale",
        "nothing": lambda tensor: None,
        "a list of itself": lambda tensor: [tensor],
        "a device": lambda tensor: torch.device("cpu"),
        "a size": lambda tensor: torch.Size([3]),
        "a type": lambda tensor: torch.float32,
        "a call": lambda tensor: _Calls(print, "whale"),
    }  # fmt: skip
    for words, view in views.items():

        def change(draft: Draft, view: Callable[[torch.Tensor], Any] = view) -> None:
            first = next(iter(draft.state))
            draft.state[first] = view(draft.state[first])

        yield f"tensor: {words}", change

    def states(words: str, change: Callable[[dict[str, Any]], Any]) -> tuple[str, Forgery]:
        def forge(draft: Draft) -> None:
            changed = change(draft.state)
            draft.state = draft.state if changed is None else changed

        return f"state: {words}", forge

    yield states("none", lambda state: {})
    yield states("a list", lambda state: list(state.values()))
    yield states("an OrderedDict", lambda state: OrderedDict(state))
    yield states("one tensor gone", lambda state: dict(list(state.items())[1:]))
    yield states("one tensor more", lambda state: state.update(more=torch.zeros(2)))
    yield states("a number as name", lambda state: state.update({3: torch.zeros(2)}))
    yield states("two names for one tensor", lambda state: state.update(twin=next(iter(state.values()))))
    yield states("itself", lambda state: state.update(own=state))
    yield states("tensors of two names in one record", _in_one_record)
    yield states("turned around", lambda state: dict(reversed(state.items())))
    yield states("halves of one record", _halves)


def _in_one_record(state: dict[str, Any]) -> None:
    sizes: dict[Any, str] = {}
    for name, tensor in state.items():
        twin = sizes.setdefault(tensor.shape, name)
        state[name] = state[twin]


def _halves(state: dict[str, Any]) -> None:
    whole = torch.cat([tensor.flatten() for tensor in state.values()])
    place = 0
    for name, tensor in state.items():
        state[name] = whole[place : place + tensor.numel()].view(tensor.shape)
        place += tensor.numel()


def _patched(signature: bytes, offset: int, packed: bytes, which: int = 1) -> Callable[[bytes], bytes]:
    """Other bytes within a header of the archive.

    Args:
        signature: of the header.
        offset: from its begin.
        packed: what stands there then.
        which: of the headers.
    """

    def patch(content: bytes) -> bytes:
        place = -1
        for _ in range(which):
            place = content.index(signature, place + 1)
        return content[: place + offset] + packed + content[place + offset + len(packed) :]

    return patch


def _of_archives() -> Iterator[tuple[str, Forgery]]:
    local, central, end = b"PK\3\4", b"PK\1\2", b"PK\5\6"
    numbers = {"0": 0, "1": 1, "all ones": 0xFFFFFFFF, "a lot": 1 << 20}
    fields = {
        "crc": (central, 16, "<L"),
        "stored size": (central, 20, "<L"),
        "size": (central, 24, "<L"),
        "header's place": (central, 42, "<L"),
        "crc of the header": (local, 14, "<L"),
        "stored size of the header": (local, 18, "<L"),
        "size of the header": (local, 22, "<L"),
        "directory's size": (end, 12, "<L"),
        "directory's place": (end, 16, "<L"),
    }
    for words, (signature, offset, form) in fields.items():
        for name, number in numbers.items():

            def change(draft: Draft, patch: Callable[[bytes], bytes]) -> None:
                draft.file = patch

            patch = _patched(signature, offset, struct.pack(form, number), 1 if signature == end else 2)
            yield f"archive: {words} is {name}", lambda draft, patch=patch: change(draft, patch)
    short = {
        "flags": (central, 8),
        "flags of the header": (local, 6),
        "method": (central, 10),
        "method of the header": (local, 8),
        "name's length": (central, 28),
        "name's length of the header": (local, 26),
        "extra's length": (central, 30),
        "extra's length of the header": (local, 28),
        "comment's length": (central, 32),
        "disk": (central, 34),
        "number of records": (end, 10),
        "number of records on this disk": (end, 8),
        "number of the disk": (end, 4),
        "disk of the directory": (end, 6),
    }
    for words, (signature, offset) in short.items():
        for number in (0, 1, 8, 0xFFFF):
            patch = _patched(signature, offset, struct.pack("<H", number), 1 if signature == end else 2)

            def change_short(draft: Draft, patch: Callable[[bytes], bytes] = patch) -> None:
                draft.file = patch

            yield f"archive: {words} is {number}", change_short
    files: dict[str, Callable[[bytes], bytes]] = {
        "bytes before it": lambda content: b"#!/bin/sh\n" + content,
        "another archive before it": lambda content: content + content,
        "a second end": lambda content: content[:-SEAL_BYTES] + b"PK\5\6" + b"\0" * 18 + content[-SEAL_BYTES:],
        "nothing but the seal": lambda content: content[-SEAL_BYTES:],
        "no directory": lambda content: content[: content.index(b"PK\1\2")] + content[content.index(b"PK\5\6") :],
    }
    for words, changed in files.items():

        def whole(draft: Draft, changed: Callable[[bytes], bytes] = changed) -> None:
            draft.file = changed

        yield f"archive: {words}", whole
    for root in ("other", "", "a/b", "..", "Archive", "ärchiv", "data", "feda2v", "a" * 300):

        def rooted(draft: Draft, root: str = root) -> None:
            draft.root = root

        yield f"archive: root folder {root[:10]!r}", rooted

    def two_roots(draft: Draft) -> None:
        def member(info: zipfile.ZipInfo) -> None:
            if info.filename.endswith("version"):
                info.filename = info.filename.replace("archive", "ARCHIVE")

        draft.member = member

    yield "archive: two root folders that differ in capitals", two_roots

    def ordered(draft: Draft) -> None:
        draft.order = lambda name: name[::-1]

    yield "archive: records in another order", ordered

    def compressed(draft: Draft) -> None:
        def member(info: zipfile.ZipInfo) -> None:
            info.compress_type = zipfile.ZIP_DEFLATED

        draft.member = member

    yield "archive: compressed records", compressed

    def commented(draft: Draft) -> None:
        def member(info: zipfile.ZipInfo) -> None:
            info.comment = b"whale"

        draft.member = member

    yield "archive: comments of records", commented

    def extra(draft: Draft) -> None:
        def member(info: zipfile.ZipInfo) -> None:
            info.extra = struct.pack("<2H", 0x4242, 8) + b"\0" * 8

        draft.member = member

    yield "archive: extra fields", extra

    def old(draft: Draft) -> None:
        draft.records["data.pkl"] = pickle.dumps(
            {"metadata": draft.pickled, f"{draft.kind}_state_dict": {}}, protocol=0
        )

    yield "archive: a pickle of protocol 0 without tensors", old


def forge(draft: Draft, forgery: Forgery, path: Path) -> None:
    """Write a forgery of a sound checkpoint.

    Args:
        draft: the sound one; it stays as it is.
        forgery: what is changed.
        path: the file.
    """
    changed = copy.deepcopy(draft)
    forgery(changed)
    changed.write(path)
