"""Checkpoints of the earlier system: what can be known of them without unpickling anything.

They are dicts that `torch.save` pickled, in an archive or in the older form without one. They do not say how their
model is built, so no generator can be rebuilt from them; they are listed and checked, and never loaded.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from feda2v_cli.checkpoint.content import LARGEST_PICKLE_BYTES, read_pickle_record, tensors_of, was_saved_again
from feda2v_cli.checkpoint.defect import Corrupt
from feda2v_cli.checkpoint.format.archive import Archive
from feda2v_cli.checkpoint.format.opening import OpenFile
from feda2v_cli.checkpoint.format.pickled import Pickled, read_pickle
from feda2v_cli.checkpoint.format.references import ELEMENT_BYTES, StorageReference, TensorReference
from feda2v_cli.checkpoint.name import Granularity

#: First pickle of a file that `torch.save` wrote without an archive, and the version in the second.
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_STATE_SUFFIX = "_state_dict"
#: Every file of the earlier system has one of these fields, beside a state or embeddings.
_MARKS = frozenset({"client_id", "node_id", "checkpoint_type", "is_global", "server", "generator_type", "adapter_name"})
_LONGEST_TEXT = 80


@dataclass(frozen=True)
class LegacyCheckpoint:
    """What a checkpoint of the earlier system says of itself; None is what it does not say.

    Attributes:
        kind: generator, adapter or embeddings.
        is_server: whether the server saved it, not a node.
        node: id of the node.
        granularity: how classes map to generators.
        key: class or group.
        classes: classes that it can make.
        round: of the save.
        generator_type: vae or gan.
        encoder: audio model.
        dataset: data set of the clips.
        states: tensors by generator and name.
    """

    kind: str
    is_server: bool
    node: int | None
    granularity: Granularity | None
    key: str | None
    classes: tuple[str, ...]
    round: int | None
    generator_type: str | None
    encoder: str | None
    dataset: str | None
    states: Mapping[str, Mapping[str, TensorReference]]

    def tensor_in(self, storage: StorageReference) -> str | None:
        """The first tensor whose elements lie in a storage, as generator and name; None when it is in no state."""
        once = {id(state): (key, state) for key, state in self.states.items()}
        places = ((key, name, tensor) for key, state in once.values() for name, tensor in state.items())
        return next((f"{key}.{name}" for key, name, tensor in places if tensor.storage == storage), None)

    @property
    def summary(self) -> str:
        """What is known, in a line."""
        known = {
            "": "server" if self.is_server else None if self.node is None else f"node {self.node}",
            "granularity": self.granularity,
            "key": self.key,
            "round": self.round,
            "type": self.generator_type,
            "encoder": self.encoder,
        }
        words = [f"{word} {value}".strip() for word, value in known.items() if value is not None]
        return f"{self.kind} of the earlier system: {', '.join(words) or 'it says nothing of itself'}"


def read_legacy(file: OpenFile, archive: Archive | None) -> LegacyCheckpoint:
    """What a file of the earlier system says, without reading its tensors.

    Args:
        file: the file.
        archive: the archive in it; None for the older form.

    Raises:
        Defect: it is damaged, unsafe, or no checkpoint of the earlier system.
    """
    pickled, sizes, _ = _read(file, archive)
    content = pickled.value
    if was_saved_again(content):
        raise Corrupt(
            "was written by feda2v and saved again by another program: its seal and its metadata record are gone"
        )
    found = dict(_states(content))
    # Many keys may share one state, and are many in a forged file.
    checked = {id(state): tensors_of(state, sizes) for state in {id(state): state for state in found.values()}.values()}
    states = {key: checked[id(state)] for key, state in found.items()}
    kind = _kind(content, states)
    granularity = content.get("generator_granularity")
    classes = content.get("generator_classes") or content.get("selected_classes") or content.get("federated_classes")
    return LegacyCheckpoint(
        kind=kind,
        is_server=content.get("checkpoint_type") == "server" or content.get("server") is True,
        node=_integer(content.get("node_id")),
        granularity=cast(Granularity, granularity) if granularity in get_args(Granularity) else None,
        key=_text(content.get("generator_key") or content.get("class_name") or content.get("group_name")),
        classes=tuple(name for name in classes if type(name) is str) if isinstance(classes, list | tuple) else (),
        round=_integer(content.get("round")),
        generator_type=_text(content.get("generator_type")),
        encoder=_text(content.get("audio_model_name")),
        dataset=_text(content.get("dataset_name")),
        states=states,
    )


def elements_in(file: OpenFile, archive: Archive | None) -> Iterator[tuple[StorageReference, bytes]]:
    """Every storage that the pickle speaks of, once, with its elements as they lie in the file.

    Raises:
        Defect: the file is damaged.
    """
    pickled, sizes, places = _read(file, archive)
    for storage in pickled.storages.values():
        name = f"data/{storage.key}"
        if sizes.get(name) != storage.elements * ELEMENT_BYTES[storage.dtype]:
            raise Corrupt(f"record {name} is missing, or of another size")
        if archive is None:
            yield storage, file.read(places[name], sizes[name])
        else:
            yield storage, archive.content(archive.records[name])


def check_records(file: OpenFile, archive: Archive | None) -> dict[str, tuple[int, int]]:
    """Read every record; in an archive, check it against the CRC-32 there, which PyTorch itself never does.

    Returns:
        Size and CRC-32 of each tensor's record, by name.

    Raises:
        Corrupt: a record's content is not what was written; names it.
    """
    if archive is None:
        _, sizes, places = _read(file, None)
        return {name: (size, _crc(file, places[name], size)) for name, size in sizes.items()}
    archive.check_layout()
    for record in archive.records.values():
        if _crc(file, archive.content_offset(record), record.size) != record.crc:
            raise Corrupt(f"record {record.name} is damaged: its checksum differs")
    return {name: (record.size, record.crc) for name, record in archive.records.items()}


def _states(content: Mapping[Any, Any]) -> Iterator[tuple[str, object]]:
    """Every state dict by its generator's name; a server's file may hold many."""
    many = content.get("prompt_generators")
    if isinstance(many, dict):
        yield from ((str(key), state) for key, state in many.items())
    for field, value in content.items():
        is_state = type(field) is str and field.endswith(_STATE_SUFFIX) and "optimizer" not in field
        if is_state and isinstance(value, dict):
            yield field.removesuffix(_STATE_SUFFIX), value


def _kind(content: Mapping[Any, Any], states: Mapping[str, object]) -> str:
    if "embeddings" in content and (_MARKS & content.keys() or "metadata" in content):
        return "embeddings"
    if not _MARKS & content.keys():
        raise Corrupt("is no checkpoint: neither feda2v nor the earlier system wrote it")
    if "adapter_name" in content or any("adapter" in key or "projection" in key for key in states):
        return "adapter"
    if states:
        return "generator"
    raise Corrupt("holds no generator: neither feda2v nor the earlier system wrote it")


def _read(file: OpenFile, archive: Archive | None) -> tuple[Pickled, dict[str, int], dict[str, int]]:
    """What is pickled, a dict; and size and place of every record by name, but those of an archive."""
    if archive is not None:
        return _of_dict(read_pickle_record(archive)), archive.sizes, {}
    # Without an archive: four pickles, the storages' keys, then for each its element count and its elements.
    stream = io.BytesIO(file.read(0, min(file.size, LARGEST_PICKLE_BYTES)))
    first = read_pickle(stream)
    if isinstance(first.value, dict):
        return first, {}, {}
    if first.value != _MAGIC_NUMBER or read_pickle(stream).value != _PROTOCOL_VERSION:
        raise Corrupt("is no checkpoint")
    read_pickle(stream)
    pickled, keys = read_pickle(stream), read_pickle(stream).value
    if type(keys) is not list:
        raise Corrupt("is no checkpoint")
    sizes, places, end = {}, {}, stream.tell()
    for key in keys:
        storage = pickled.storages.get(key) if type(key) is str else None
        (elements,) = struct.unpack("<q", file.read(end, 8))
        if storage is None or elements != storage.elements:
            raise Corrupt("is damaged: its tensors are not those that its pickle speaks of")
        name, size = f"data/{key}", elements * ELEMENT_BYTES[storage.dtype]
        sizes[name], places[name] = size, end + 8
        end += 8 + size
    if end != file.size:
        raise Corrupt(f"truncated or too long — it has {file.size} bytes and needs {end}")
    return _of_dict(pickled), sizes, places


def _of_dict(pickled: Pickled) -> Pickled:
    if not isinstance(pickled.value, dict):
        raise Corrupt("is no checkpoint")
    return pickled


def _crc(file: OpenFile, offset: int, size: int) -> int:
    crc = 0
    for piece in file.chunks(offset, size):
        crc = zlib.crc32(piece, crc)
    return crc


def _text(value: object) -> str | None:
    return value[:_LONGEST_TEXT] if type(value) is str else None


def _integer(value: object) -> int | None:
    return value if type(value) is int else None
