"""What is inside a checkpoint: metadata, seal, and the tensors that its pickle speaks of. Needs no PyTorch.

Every kind is read in the same way; who reads names the kind that it can use, or `Metadata` for any.
"""

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from feda2v_cli.checkpoint.defect import Corrupt, Defect, Misnamed, NewerFormat
from feda2v_cli.checkpoint.fields import MetadataError
from feda2v_cli.checkpoint.format.archive import Archive, digest, is_intact, is_sealed
from feda2v_cli.checkpoint.format.pickled import read_pickle
from feda2v_cli.checkpoint.format.references import ELEMENT_BYTES, TensorReference
from feda2v_cli.checkpoint.metadata import KINDS, Metadata, NewerFormatError
from feda2v_cli.errors import UsageError

METADATA_RECORD = "feda2v/metadata.json"
PICKLE_RECORD = "data.pkl"
#: Real metadata takes some 5 kB; the limits keep a forged file from filling the memory.
LARGEST_METADATA_BYTES = 2 << 20
LARGEST_PICKLE_BYTES = 64 << 20

M = TypeVar("M", bound=Metadata)


@dataclass(frozen=True)
class Header(Generic[M]):
    """What a checkpoint says of itself before its tensors are read.

    Attributes:
        metadata: of the checkpoint.
        digests: SHA-256 of every record, in hexadecimal.
    """

    metadata: M
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
        header = json.loads(text)
        kind = KINDS.get(header["kind"])
        if kind is None or not issubclass(kind, expected):
            wanted = " or ".join(name for name, known in KINDS.items() if issubclass(known, expected))
            raise Corrupt(f"holds a {header['kind']!r:.40}, expected {wanted}")
        metadata = kind.from_dict(header["metadata"])
        metadata.filename  # noqa: B018 - refuses what no file can be named
        return Header(metadata, dict(header["records"]))
    except NewerFormatError as error:
        raise NewerFormat(error.title) from error
    except (MetadataError, UsageError) as error:
        raise Corrupt(f"its metadata cannot be: {error.title}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(f"record {METADATA_RECORD} is not as this package writes it") from error


def read_content(archive: Archive, expected: type[M]) -> Content[M]:
    """Read a checkpoint and check every byte of it, in constant memory.

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
    content = read_pickle_record(archive)
    if set(content) != {"metadata", state_key}:
        raise Corrupt(f"record {PICKLE_RECORD} holds other keys than metadata and {state_key}")
    if content["metadata"] != metadata.to_dict():
        raise Corrupt(f"the metadata in {PICKLE_RECORD} and in {METADATA_RECORD} differ")
    return Content(metadata, tensors_of(content[state_key], archive.sizes), header.digests)


def check_name(path: Path, metadata: Metadata) -> None:
    """Check that a file is called what its metadata demand.

    Raises:
        Misnamed: it is not.
    """
    if metadata.filename != path.name:
        raise Misnamed(metadata.filename)


def read_pickle_record(archive: Archive) -> dict[Any, Any]:
    """The dict that `torch.save` wrote, with references in place of tensors.

    Raises:
        Defect: it is damaged or unsafe.
    """
    record = archive.records.get(PICKLE_RECORD)
    if record is None:
        raise Corrupt(f"record {PICKLE_RECORD} is missing")
    if record.size > LARGEST_PICKLE_BYTES:
        raise Corrupt(f"record {PICKLE_RECORD} takes {record.size} bytes")
    content = read_pickle(io.BytesIO(archive.content(record))).value
    if not isinstance(content, dict):
        raise Corrupt(f"record {PICKLE_RECORD} holds no dict")
    return content


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
    for name, record in archive.records.items():
        if name != METADATA_RECORD and header.digests.get(name) != digest(
            archive.file, archive.content_offset(record), record.size
        ):
            tensor = _tensor_in(archive, name, header.metadata.state_key)
            about = f" (tensor {tensor})" if tensor else ""
            return Corrupt(f"record {name}{about} is damaged: its SHA-256 differs", tensor)
    return Corrupt("the seal at the end of the file is broken, and no record: a header is damaged")


def _tensor_in(archive: Archive, name: str, state_key: str) -> str | None:
    """Name of the tensor whose elements lie in a record, if the pickle can still tell."""
    if not name.startswith("data/"):
        return None
    try:
        tensors = tensors_of(read_pickle_record(archive).get(state_key), archive.sizes)
    except Defect:
        return None
    return next((tensor for tensor, reference in tensors.items() if f"data/{reference.storage.key}" == name), None)
