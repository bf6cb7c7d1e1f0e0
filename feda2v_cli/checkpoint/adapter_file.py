"""Writing, reading and loading the checkpoint of an adapter: the same format as a generator's, of another kind."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.adapter_metadata import AdapterMetadata
from feda2v_cli.checkpoint.content import (
    ADAPTER_KIND,
    METADATA_RECORD,
    PICKLE_RECORD,
    damage,
    metadata_text,
    read_pickle_record,
    tensors_of,
)
from feda2v_cli.checkpoint.file import own, write_sealed
from feda2v_cli.checkpoint.format.archive import Archive, read_archive
from feda2v_cli.checkpoint.format.defect import Corrupt, Defect
from feda2v_cli.checkpoint.format.opening import OpenFile, opened
from feda2v_cli.checkpoint.format.seal import is_intact
from feda2v_cli.checkpoint.metadata import MetadataError, NewerFormatError

if TYPE_CHECKING:
    from torch import Tensor

_STATE = "adapter_state_dict"


def write_adapter(path: Path, metadata: AdapterMetadata, state: Mapping[str, "Tensor"]) -> int:
    """Write an adapter's checkpoint; a reader sees the old file or the new one, never a part.

    Args:
        path: the file; its name must be the one that the metadata demand.
        metadata: what the file says of itself.
        state: tensors by name.

    Returns:
        Bytes of the file.

    Raises:
        FailedError: the file cannot be written. An older file is still there.
        ValueError: the file's name and the metadata disagree.
    """
    if path.name != metadata.filename:
        raise ValueError(f"the file is to be called {path.name}, its metadata demand {metadata.filename}")
    values = metadata.model_dump(mode="json")

    def header(digests: dict[str, str]) -> bytes:
        text = {"kind": ADAPTER_KIND, "metadata": values, "records": digests}
        return json.dumps(text, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    return write_sealed(
        path, {"metadata": values, _STATE: {name: own(tensor) for name, tensor in state.items()}}, header
    )


def load_adapter_content(path: Path) -> tuple[AdapterMetadata, dict[str, "Tensor"]]:
    """Load an adapter's checkpoint after checking every byte of it; whether it is the right one is for others to judge.

    Raises:
        Defect: it is damaged, unsafe or contradicts itself.
    """
    import torch

    with opened(path) as file:
        metadata = read_adapter(file)
        # The same descriptor, so that nobody can swap the file between check and load.
        with open(os.dup(file.descriptor), "rb") as stream:
            stream.seek(0)
            state: dict[str, Tensor] = torch.load(stream, map_location="cpu", weights_only=True)[_STATE]
    return metadata, state


def check_adapter_name(path: Path, metadata: AdapterMetadata) -> None:
    """Check that a file is called what its metadata demand.

    Raises:
        Defect: it is not.
    """
    if metadata.filename != path.name:
        raise Defect("FA012", f"holds what belongs into {metadata.filename}: it was renamed, swapped or copied")


def read_adapter(file: OpenFile) -> AdapterMetadata:
    """Read an adapter's checkpoint and check every byte of it, in constant memory and without PyTorch.

    Raises:
        Defect: it is damaged, unsafe, contradicts itself, or was written by a later version.
    """
    archive = read_archive(file)
    archive.check_layout()
    if not is_intact(archive):
        raise damage(archive, lambda: read_adapter_header(archive)[1], _STATE)
    metadata, _ = read_adapter_header(archive)
    content = read_pickle_record(archive)
    if set(content) != {"metadata", _STATE} or content["metadata"] != metadata.model_dump(mode="json"):
        raise Corrupt(f"record {PICKLE_RECORD} is not what record {METADATA_RECORD} says")
    tensors_of(content[_STATE], archive.sizes)
    return metadata


def read_adapter_header(archive: Archive) -> tuple[AdapterMetadata, dict[str, str]]:
    """The metadata of an adapter's checkpoint and the SHA-256 of its records, without reading its tensors.

    Raises:
        Defect: they cannot be read, or a later version wrote them.
    """
    text = metadata_text(archive)
    try:
        header = json.loads(text)
        if header["kind"] != ADAPTER_KIND:
            raise Corrupt(f"holds a {header['kind']!r:.40}, not an {ADAPTER_KIND}")
        return AdapterMetadata.from_dict(header["metadata"]), dict(header["records"])
    except NewerFormatError as error:
        raise Defect("FA017", f"written by a later version: {error.title}") from error
    except MetadataError as error:
        raise Corrupt(f"its metadata cannot be: {error.title}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(f"record {METADATA_RECORD} is not as this package writes it") from error
