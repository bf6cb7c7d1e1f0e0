"""What is inside a checkpoint: metadata, seal, and the tensors that its pickle speaks of. Needs no PyTorch.

Every kind is read in the same way; who reads names the kind that it can use, or `Metadata` for any.
"""

import io
import json
import re
import sys
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from feda2v_cli.checkpoint.defect import Corrupt, Defect, Misnamed, NewerFormat
from feda2v_cli.checkpoint.fields import MetadataError
from feda2v_cli.checkpoint.format.archive import Archive, checksums, is_intact, is_sealed
from feda2v_cli.checkpoint.format.pickled import Pickled, read_pickle
from feda2v_cli.checkpoint.format.references import ELEMENT_BYTES, TensorReference, short
from feda2v_cli.checkpoint.metadata import KINDS, Metadata, NewerFormatError
from feda2v_cli.errors import UsageError

METADATA_RECORD = "feda2v/metadata.json"
PICKLE_RECORD = "data.pkl"
#: Real metadata takes some 5 kB; the limits keep a forged file from filling the memory.
LARGEST_METADATA_BYTES = 2 << 20
LARGEST_PICKLE_BYTES = 64 << 20
#: What `torch.save` writes beside the pickle and the tensors, and what may stand there. PyTorch reads these records; of
#: others some would change what it loads.
OTHER_RECORDS = {
    "byteorder": re.escape(sys.byteorder),
    "version": r"([1-9]|10)\n",
    ".data/serialization_id": r"[0-9]{1,80}",
    ".format_version": r"1",
    ".storage_alignment": r"[1-9][0-9]{0,5}",
}
_NEEDED = (PICKLE_RECORD, "version", METADATA_RECORD)
_LARGEST_OTHER_BYTES = 128
_STORAGE_KEY = re.compile(r"0|[1-9][0-9]{0,8}")

M = TypeVar("M", bound=Metadata)


@dataclass(frozen=True)
class Header(Generic[M]):
    """What a checkpoint says of itself before its tensors are read.

    Attributes:
        metadata: of the checkpoint.
        values: the same as it stands in the file.
        digests: SHA-256 of every record, in hexadecimal.
    """

    metadata: M
    values: dict[str, Any]
    digests: dict[str, str]


@dataclass(frozen=True)
class Content(Generic[M]):
    """A checkpoint that is intact.

    Attributes:
        metadata: what it says of itself.
        tensors: tensors of the state by name.
        digests: SHA-256 of every record, in hexadecimal.
    """

    metadata: M
    tensors: dict[str, TensorReference]
    digests: dict[str, str]


def is_checkpoint(archive: Archive) -> bool:
    """Whether this package wrote the archive, sound or damaged."""
    return METADATA_RECORD in archive.records or is_sealed(archive)


def header_text(metadata: Metadata, digests: Mapping[str, str]) -> bytes:
    """What the metadata record holds."""
    header = {"kind": metadata.kind, "metadata": metadata.to_dict(), "records": digests}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def read_header(archive: Archive, expected: type[M]) -> Header[M]:
    """The metadata of a checkpoint and the SHA-256 of its records, without reading its tensors.

    Args:
        archive: the checkpoint.
        expected: the kind that it must be; `Metadata` for any.

    Raises:
        Defect: they cannot be read, are of another kind, or a later version wrote them.
    """
    text = _metadata_text(archive)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once_each)
        # Half a surrogate pair is no text, and cannot be printed.
        json.dumps(header, ensure_ascii=False).encode()
        if header.keys() != {"kind", "metadata", "records"}:
            raise Corrupt(f"record {METADATA_RECORD} holds other keys than kind, metadata and records")
        kind = KINDS.get(header["kind"])
        if kind is None or not issubclass(kind, expected):
            wanted = " or ".join(name for name, known in KINDS.items() if issubclass(known, expected))
            raise Corrupt(f"holds a {header['kind']!r:.40}, expected {wanted}")
        metadata = kind.from_dict(header["metadata"])
        metadata.filename  # noqa: B018 - refuses what no file can be named
        return Header(metadata, header["metadata"], dict(header["records"]))
    except NewerFormatError as error:
        raise NewerFormat(error.title) from error
    except (MetadataError, UsageError) as error:
        raise Corrupt(f"its metadata cannot be: {error.title}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(f"record {METADATA_RECORD} is not as this package writes it") from error


def read_content(archive: Archive, expected: type[M]) -> Content[M]:
    """Read a checkpoint and check every byte of it, in constant memory: its elements are read twice and not kept.

    Args:
        archive: the checkpoint.
        expected: the kind that it must be; `Metadata` for any.

    Raises:
        Defect: it is damaged, unsafe, contradicts itself, is of another kind, or a later version wrote it.
    """
    archive.check_layout()
    if not is_intact(archive):
        raise _damage(archive)
    header = read_header(archive, expected)
    metadata, state_key = header.metadata, header.metadata.state_key
    if header.digests.keys() != archive.records.keys() - {METADATA_RECORD}:
        raise Corrupt(f"record {METADATA_RECORD} lists other records than the archive holds")
    pickled = read_pickle_record(archive)
    content = _dict_in(pickled)
    if set(content) != {"metadata", state_key}:
        raise Corrupt(f"record {PICKLE_RECORD} holds other keys than metadata and {state_key}")
    if not _is_same(content["metadata"], header.values):
        raise Corrupt(f"the metadata in {PICKLE_RECORD} and in {METADATA_RECORD} differ")
    tensors = tensors_of(content[state_key], archive.sizes)
    _check_layout(tensors)
    _check_records(archive, {f"data/{key}" for key in pickled.storages})
    if pickled.storages.keys() != {tensor.storage.key for tensor in tensors.values()}:
        raise Corrupt(f"record {PICKLE_RECORD} speaks of elements that no tensor has")
    if damaged := _differing_record(archive, header):
        raise damaged
    return Content(metadata, tensors, header.digests)


def check_name(path: Path, metadata: Metadata) -> None:
    """Check that a file is called what its metadata demand.

    Raises:
        Misnamed: it is not.
    """
    if metadata.filename != path.name:
        raise Misnamed(metadata.filename)


def was_saved_again(content: Mapping[Any, Any]) -> bool:
    """Whether what a pickle holds came out of a checkpoint of this package.

    Who loads one with `torch.load` and saves it with `torch.save` leaves seal and metadata record behind, and the
    metadata in the pickle.
    """
    metadata = content.get("metadata")
    is_of_a_kind = any(kind.state_key in content for kind in KINDS.values())
    return "format_version" in content or (
        isinstance(metadata, dict) and ("format_version" in metadata or is_of_a_kind)
    )


def read_pickle_record(archive: Archive) -> Pickled:
    """What `torch.save` pickled, with references in place of tensors.

    Raises:
        Defect: it is damaged or unsafe.
    """
    record = archive.records.get(PICKLE_RECORD)
    if record is None:
        raise Corrupt(f"record {PICKLE_RECORD} is missing")
    if record.size > LARGEST_PICKLE_BYTES:
        raise Corrupt(f"record {PICKLE_RECORD} takes {record.size} bytes")
    stream = io.BytesIO(archive.content(record))
    pickled = read_pickle(stream)
    if stream.tell() != record.size:
        raise Corrupt(f"record {PICKLE_RECORD} goes on after the end of its pickle")
    return pickled


def tensors_of(state: object, sizes: Mapping[str, int]) -> dict[str, TensorReference]:
    """The tensors of a state dict, each with a record of the right size.

    Args:
        state: what the pickle holds as a state.
        sizes: bytes of every record by name.

    Raises:
        Corrupt: the state is no dict of tensors, or a record is missing or of the wrong size.
    """
    if not isinstance(state, dict):
        raise Corrupt(f"record {PICKLE_RECORD} holds no state")
    for name, tensor in state.items():
        if type(name) is not str or type(tensor) is not TensorReference:
            raise Corrupt(f"the state holds {name!r:.60}, which is no tensor")
        record = f"data/{tensor.storage.key}"
        if record not in sizes:
            raise Corrupt(f"record {record} (tensor {name}) is missing", name)
        needed = tensor.storage.elements * ELEMENT_BYTES[tensor.storage.dtype]
        if sizes[record] != needed:
            raise Corrupt(f"record {record} (tensor {name}) has {sizes[record]} bytes and needs {needed}", name)
    return state


def _dict_in(pickled: Pickled) -> dict[Any, Any]:
    if not isinstance(pickled.value, dict):
        raise Corrupt(f"record {PICKLE_RECORD} holds no dict")
    return pickled.value


def _metadata_text(archive: Archive) -> bytes:
    """What the metadata record holds, as it was written."""
    record = archive.records.get(METADATA_RECORD)
    if record is None:
        raise Corrupt(f"record {METADATA_RECORD} is missing")
    if record.size > LARGEST_METADATA_BYTES:
        raise Corrupt(f"record {METADATA_RECORD} takes {record.size} bytes")
    text = archive.content(record)
    if zlib.crc32(text) != record.crc:
        raise Corrupt(f"record {METADATA_RECORD} is damaged: its checksum differs")
    return text


def _damage(archive: Archive) -> Corrupt:
    """Which record of an archive is damaged whose seal is not that of its bytes."""
    if not is_sealed(archive):
        return Corrupt("the seal at the end of the file is damaged")
    try:
        header = read_header(archive, Metadata)
    except Corrupt as error:
        return error
    except Defect:
        return Corrupt("the seal at the end of the file is broken")
    return _differing_record(archive, header) or Corrupt(
        "the seal at the end of the file is broken, and no record: a header is damaged"
    )


def _differing_record(archive: Archive, header: Header[M]) -> Corrupt | None:
    """The first record that is not what the metadata record and the directory say."""
    for name, record in archive.records.items():
        if name == METADATA_RECORD:
            continue
        sums = checksums(archive.file, archive.content_offset(record), record.size)
        if sums != (header.digests.get(name), record.crc):
            tensor = _tensor_in(archive, name, header.metadata.state_key)
            about = f" (tensor {tensor})" if tensor else ""
            kind = "CRC-32" if sums[0] == header.digests.get(name) else "SHA-256"
            return Corrupt(f"record {name}{about} is damaged: its {kind} differs", tensor)
    return None


def _check_records(archive: Archive, elements: Collection[str]) -> None:
    """Check that an archive holds what is needed and nothing else that PyTorch might read.

    Args:
        archive: the checkpoint.
        elements: records of tensors.
    """
    for name in (*_NEEDED, *elements):
        if name not in archive.records:
            raise Corrupt(f"record {name} is missing")
    for name, record in archive.records.items():
        if name in (PICKLE_RECORD, METADATA_RECORD) or name in elements:
            continue
        if name not in OTHER_RECORDS:
            raise Corrupt(f"record {short(name)!r} is none of a checkpoint")
        content = archive.content(record) if record.size <= _LARGEST_OTHER_BYTES else b""
        if not re.fullmatch(OTHER_RECORDS[name].encode(), content):
            raise Corrupt(f"record {name} is not as PyTorch writes it on this machine")


def _check_layout(tensors: Mapping[str, TensorReference]) -> None:
    """Check that every tensor is all of a record of its own, so that it takes as much memory as its record."""
    owners: dict[str, str] = {}
    for name, tensor in tensors.items():
        key = tensor.storage.key
        if not _STORAGE_KEY.fullmatch(key):
            raise Corrupt(f"record {short(f'data/{key}')!r} (tensor {name}) has no number", name)
        if owners.setdefault(key, name) != name:
            raise Corrupt(f"record data/{key} is said to be tensor {name} and tensor {owners[key]}", name)
        if tensor.requires_grad:
            raise Corrupt(f"tensor {name} is to be trained on, which a checkpoint's are not", name)
        if not tensor.is_dense:
            raise Corrupt(f"tensor {name} is not the elements of record data/{key} one after the other", name)


def _is_same(pickled: object, written: Mapping[str, Any]) -> bool:
    """Whether the metadata in the pickle is that of the record, with numbers of the same types."""
    # Compared as text after they are equal alone: what is equal to a JSON object is no larger than it.
    return pickled == written and json.dumps(pickled, sort_keys=True) == json.dumps(written, sort_keys=True)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, of which some readers would take the first of two equal keys and some the last."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is there twice")
    return fields


def _tensor_in(archive: Archive, name: str, state_key: str) -> str | None:
    """Name of the tensor whose elements lie in a record, if the pickle can still tell."""
    if not name.startswith("data/"):
        return None
    try:
        tensors = tensors_of(_dict_in(read_pickle_record(archive)).get(state_key), archive.sizes)
    except Defect:
        return None
    return next((tensor for tensor, reference in tensors.items() if f"data/{reference.storage.key}" == name), None)
