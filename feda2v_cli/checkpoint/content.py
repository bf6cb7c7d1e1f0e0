"""What is inside a generator's checkpoint: metadata, seal, and the tensors that its pickle speaks of."""

import io
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feda2v_cli.checkpoint.format.archive import Archive, read_archive
from feda2v_cli.checkpoint.format.defect import Corrupt, Defect
from feda2v_cli.checkpoint.format.opening import OpenFile
from feda2v_cli.checkpoint.format.pickled import read_pickle
from feda2v_cli.checkpoint.format.references import ELEMENT_BYTES, TensorReference
from feda2v_cli.checkpoint.format.seal import digest, is_intact, is_sealed
from feda2v_cli.checkpoint.metadata import GeneratorMetadata, MetadataError, NewerFormatError
from feda2v_cli.errors import UsageError

METADATA_RECORD = "feda2v/metadata.json"
PICKLE_RECORD = "data.pkl"
KIND = "generator"
ADAPTER_KIND = "adapter"
STATE = "generator_state_dict"
#: Real metadata takes some 5 kB; the limits keep a forged file from filling the memory.
LARGEST_METADATA_BYTES = 2 << 20
LARGEST_PICKLE_BYTES = 64 << 20


@dataclass(frozen=True)
class Content:
    """A checkpoint that is intact.

    Attributes:
        metadata: what it says of itself.
        tensors: tensors of the state by name.
        digests: SHA-256 of every record, in hexadecimal.
    """

    metadata: GeneratorMetadata
    tensors: dict[str, TensorReference]
    digests: dict[str, str]


def is_checkpoint(archive: Archive) -> bool:
    """Whether this package wrote the archive, sound or damaged."""
    return METADATA_RECORD in archive.records or is_sealed(archive)


def is_adapter(archive: Archive) -> bool:
    """Whether a checkpoint holds adapters. Reads no more than the metadata record."""
    record = archive.records.get(METADATA_RECORD)
    if record is None or record.size > LARGEST_METADATA_BYTES:
        return False
    return archive.content(record).startswith(b'{"kind":"%s",' % ADAPTER_KIND.encode())


def metadata_text(archive: Archive) -> bytes:
    """What the metadata record holds, as it was written.

    Raises:
        Corrupt: it is missing, too large or damaged.
    """
    record = archive.records.get(METADATA_RECORD)
    if record is None:
        raise Corrupt(f"record {METADATA_RECORD} is missing")
    if record.size > LARGEST_METADATA_BYTES:
        raise Corrupt(f"record {METADATA_RECORD} takes {record.size} bytes")
    text = archive.content(record)
    if zlib.crc32(text) != record.crc:
        raise Corrupt(f"record {METADATA_RECORD} is damaged: its checksum differs")
    return text


def read_header(archive: Archive) -> tuple[GeneratorMetadata, dict[str, str]]:
    """The metadata of a checkpoint and the SHA-256 of its records, without reading its tensors.

    Raises:
        Defect: they cannot be read, or a later version wrote them.
    """
    text = metadata_text(archive)
    try:
        header = json.loads(text)
        if header["kind"] != KIND:
            raise Corrupt(f"holds a {header['kind']!r:.40}, not a {KIND}")
        metadata = GeneratorMetadata.from_dict(header["metadata"])
        metadata.name  # noqa: B018 - refuses what no file can be named
        return metadata, dict(header["records"])
    except NewerFormatError as error:
        raise Defect("FA017", f"written by a later version: {error.title}") from error
    except (MetadataError, UsageError) as error:
        raise Corrupt(f"its metadata cannot be: {error.title}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(f"record {METADATA_RECORD} is not as this package writes it") from error


def check_name(path: Path, metadata: GeneratorMetadata) -> None:
    """Check that a file is called what its metadata demand.

    Raises:
        Defect: it is not.
    """
    if metadata.name.filename != path.name:
        raise Defect("FA012", f"holds what belongs into {metadata.name.filename}: it was renamed, swapped or copied")


def header_text(metadata: GeneratorMetadata, digests: dict[str, str]) -> bytes:
    """What the metadata record holds."""
    header = {"kind": KIND, "metadata": metadata.to_dict(), "records": digests}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def read_content(file: OpenFile) -> Content:
    """Read a checkpoint and check every byte of it, in constant memory.

    Raises:
        Defect: it is damaged, unsafe, contradicts itself, or was written by a later version.
    """
    archive = read_archive(file)
    archive.check_layout()
    if not is_intact(archive):
        raise damage(archive, lambda: read_header(archive)[1], STATE)
    metadata, digests = read_header(archive)
    if digests.keys() != archive.records.keys() - {METADATA_RECORD}:
        raise Corrupt(f"record {METADATA_RECORD} lists other records than the archive holds")
    content = read_pickle_record(archive)
    if set(content) != {"metadata", STATE}:
        raise Corrupt(f"record {PICKLE_RECORD} holds other keys than metadata and {STATE}")
    if content["metadata"] != metadata.to_dict():
        raise Corrupt(f"the metadata in {PICKLE_RECORD} and in {METADATA_RECORD} differ")
    return Content(metadata, tensors_of(content[STATE], archive.sizes), digests)


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


def damage(archive: Archive, read_digests: Callable[[], Mapping[str, str]], state: str) -> Corrupt:
    """Which record of a broken archive is damaged.

    Args:
        archive: its seal is not that of its bytes.
        read_digests: reads the SHA-256 of every record from the metadata record; may raise a defect.
        state: under which key the pickle holds the tensors.
    """
    if not is_sealed(archive):
        return Corrupt("the seal at the end of the file is damaged")
    try:
        digests = read_digests()
    except Corrupt as error:
        return error
    except Defect:
        return Corrupt("the seal at the end of the file is broken")
    for name, record in archive.records.items():
        if name != METADATA_RECORD and digests.get(name) != digest(
            archive.file, archive.content_offset(record), record.size
        ):
            tensor = _tensor_in(archive, name, state)
            about = f" (tensor {tensor})" if tensor else ""
            return Corrupt(f"record {name}{about} is damaged: its SHA-256 differs", tensor)
    return Corrupt("the seal at the end of the file is broken, and no record: a header is damaged")


def _tensor_in(archive: Archive, name: str, state: str) -> str | None:
    """Name of the tensor whose elements lie in a record, if the pickle can still tell."""
    if not name.startswith("data/"):
        return None
    try:
        tensors = tensors_of(read_pickle_record(archive).get(state), archive.sizes)
    except Defect:
        return None
    return next((tensor for tensor, reference in tensors.items() if f"data/{reference.storage.key}" == name), None)
