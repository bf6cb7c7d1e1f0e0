"""Writing and loading a checkpoint of any kind. docs/checkpoint-format.md describes the format.

archive/data.pkl                the dict of `metadata` and the state, as `torch.save` writes it
archive/data/0, 1, …            elements of the tensors
archive/feda2v/metadata.json    the same metadata, and the SHA-256 of every record: readable without PyTorch
comment of the archive          SHA-256 of every byte before it: the seal
"""

import errno
import mmap
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.checkpoint.content import METADATA_RECORD, Content, M, header_text, read_content
from feda2v_cli.checkpoint.format.archive import SEAL_BYTES, Archive, digest, read_archive, seal
from feda2v_cli.checkpoint.format.opening import OpenFile, opened
from feda2v_cli.checkpoint.format.references import TensorReference
from feda2v_cli.checkpoint.metadata import Metadata
from feda2v_cli.errors import FailedError

#: Bytes of elements from which on they are not copied into memory.
MAPPED_BYTES = 4 * 1024**2

if TYPE_CHECKING:
    from torch import Tensor


def write_checkpoint(path: Path, metadata: Metadata, state: Mapping[str, "Tensor"]) -> int:
    """Write a checkpoint, whole or not at all: a reader sees the old file or the new one, never a part.

    Tensors go from memory to the file one after the other. One that is a part of a larger tensor, like a model of a
    stack, is copied first, so that the file holds its part alone.

    Args:
        path: the file; its name must be the one that the metadata demand.
        metadata: what the file says of itself; their class is its kind.
        state: tensors by name, on any device.

    Returns:
        Bytes of the file.

    Raises:
        FailedError: the file cannot be written: no space, no permission. An older file is still there.
        ValueError: the file's name and the metadata disagree.
    """
    import torch

    path = Path(path)
    if path.name != metadata.filename:
        raise ValueError(f"the file is to be called {path.name}, its metadata demand {metadata.filename}")
    taken: set[int] = set()
    tensors = {name: _own(tensor, taken) for name, tensor in state.items()}
    content = {"metadata": metadata.to_dict(), metadata.state_key: tensors}
    try:
        with atomic_write(path) as file:
            torch.save(content, file)
            _append_metadata(file, metadata)
            return _seal(file)
    except (OSError, RuntimeError) as error:
        cause = _cause(error)
        if not isinstance(cause, OSError):
            raise cause from None
        needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        raise FailedError(
            f"{path} cannot be written — {cause.strerror}",
            [f"it needs {needed} bytes; what was there before is as it was"],
            hint=f"df -h {path.parent}" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else f"ls -ld {path.parent}",
        ) from error


def load_content(path: Path, expected: type[M]) -> tuple[Content[M], dict[str, "Tensor"]]:
    """Load a checkpoint after checking every byte of it; whether it is the right one is for others to judge.

    Args:
        path: the file.
        expected: the kind that it must be.

    Returns:
        What is inside, and the tensors by name on the CPU.

    Raises:
        Defect: it is damaged, unsafe, of another kind, or contradicts itself.
    """
    # The same descriptor, so that nobody can swap the file between check and load.
    with opened(path) as file:
        archive = read_archive(file)
        content = read_content(archive, expected)
        large = any(archive.sizes[f"data/{tensor.storage.key}"] >= MAPPED_BYTES for tensor in content.tensors.values())
        mapped = mmap.mmap(file.descriptor, file.size, access=mmap.ACCESS_COPY) if large else None
        return content, {name: _tensor(archive, reference, mapped) for name, reference in content.tensors.items()}


def _tensor(archive: Archive, reference: TensorReference, mapped: mmap.mmap | None) -> "Tensor":
    """The elements of a record as a tensor. They are what was checked: no unpickler has a say in it.

    Large ones are mapped from the file: axes of embeddings of all tokens are hundreds of megabytes a generator. Files
    are replaced and not written over, so that what is mapped stays what it is.
    """
    import torch

    dtype = getattr(torch, reference.storage.dtype)
    if not reference.elements:
        return torch.empty(reference.shape, dtype=dtype)
    record = archive.records[f"data/{reference.storage.key}"]
    start = archive.content_offset(record)
    if mapped is None or record.size < MAPPED_BYTES or start % dtype.itemsize:
        return torch.frombuffer(bytearray(archive.content(record)), dtype=dtype).view(reference.shape)
    return torch.frombuffer(mapped, dtype=dtype, count=reference.elements, offset=start).view(reference.shape)


def _own(tensor: "Tensor", taken: set[int]) -> "Tensor":
    """The tensor on the CPU, with storage of its own and no other element in it.

    Args:
        tensor: on any device, a part of a larger one or not.
        taken: where the storages of other tensors lie; this one's is added.
    """
    plain = tensor.detach().cpu().contiguous()
    storage = plain.untyped_storage()
    if storage.nbytes() != plain.numel() * plain.element_size() or storage.data_ptr() in taken:
        plain = plain.clone()
    taken.add(plain.untyped_storage().data_ptr())
    return plain


def _append_metadata(file: BinaryIO, metadata: Metadata) -> None:
    file.flush()
    archive = _archive_in(file)
    digests = {
        name: digest(archive.file, archive.content_offset(record), record.size)
        for name, record in archive.records.items()
    }
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as appended:
        # A fixed date: the same content is the same bytes.
        member = zipfile.ZipInfo(f"{archive.root}/{METADATA_RECORD}", (1980, 1, 1, 0, 0, 0))
        appended.writestr(member, header_text(metadata, digests))
        appended.comment = seal("")


def _seal(file: BinaryIO) -> int:
    file.flush()
    size = file.seek(0, os.SEEK_END)
    sealed = seal(digest(OpenFile(file.fileno(), size), 0, size - SEAL_BYTES))
    file.seek(size - SEAL_BYTES)
    file.write(sealed)
    return size


def _archive_in(file: BinaryIO) -> Archive:
    return read_archive(OpenFile(file.fileno(), file.seek(0, os.SEEK_END)))


def _cause(error: BaseException) -> BaseException:
    """What stopped PyTorch's writer: a full disk or Ctrl-C, which it turns into an error of its own."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, OSError | KeyboardInterrupt):
        link = link.__cause__ or link.__context__
    return link or error
