"""Embeddings on disk, between runs: one file an encoder, mapped into memory."""

import errno
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.embedding.identity import without_names
from feda2v_cli.embedding.stored import MappedFile, StoredEmbeddings, from_numbers, in_files, to_numbers
from feda2v_cli.embedding.waveform import VERSION as WAVEFORM_VERSION
from feda2v_cli.errors import FailedError

_DIGEST_BYTES = hashlib.sha256().digest_size

#: What decodes and resamples sounds, and makes spectra of them.
_SOUND_PACKAGES = ("soundfile", "soxr", "torchaudio")
#: What makes the input of a model of Hugging Face.
_FEATURE_PACKAGES = ("transformers",)


class DamagedEntryError(Exception):
    """An entry of the cache whose numbers are not those that were written."""


class EmbeddingCache:
    """Embeddings of one encoder, by the content of the clips.

    `<directory>/<encoder key>/embeddings.bin` holds entries of one size, one after the other, and `encoder.json` beside
    it says what the key means:

        SHA-256 of the clip | SHA-256 of the clip's and of all numbers | numbers, [tokens, dim]

    Entries are appended under a lock, so that several processes may read and write at once. What a process that was
    killed has left of one at the end is written over. The same clip may have two, when two processes wrote at once.

    Args:
        directory: the cache of all encoders. It is made when the first entry is written.
        encoder: whose embeddings these are.
        numbers: float32, float16 or bfloat16: what an embedding is rounded to.
    """

    def __init__(self, directory: Path, encoder: Encoder, numbers: str = "float32") -> None:
        self.directory = directory.expanduser() / encoder_key(encoder, numbers)
        self.path = self.directory / "embeddings.bin"
        self._origin = _origin(encoder, numbers) | {"shape": list(encoder.shape), "numbers": numbers}
        self._numbers = numbers
        self._entry = np.dtype(
            [
                ("clip", "u1", (_DIGEST_BYTES,)),
                ("digest", "u1", (_DIGEST_BYTES,)),
                ("values", in_files(numbers), encoder.shape),
            ]
        )
        self._lock = threading.Lock()
        state = _state_of(self.path)
        #: The entries that are there now, and the place of each clip's.
        self._entries, self._file = self._mapped()
        self._rows = _rows_of(self.path, state, self._entries)

    def find(self, content_hash: str) -> int | None:
        """The place of a clip's entry, whose numbers are checked; None when there is none.

        Raises:
            DamagedEntryError: its numbers are not what was written for this clip.
            FailedError: the cache is there and may not be read.
        """
        row = self._rows.get(bytes.fromhex(content_hash))
        if row is None:
            return None
        if row >= len(self._entries) or not (self._file is None or self._file.is_whole):  # written or cut off since
            self._entries, self._file = self._mapped()
        if row >= len(self._entries):
            del self._rows[bytes.fromhex(content_hash)]
            return None
        entry = self._entries[row]
        if entry["digest"].tobytes() != _digest(content_hash, entry["values"]):
            raise DamagedEntryError(f"{self.path}, entry {row}")
        return row

    def holds(self, embedding: npt.NDArray[np.float32]) -> bool:
        """Whether all numbers of an embedding are finite, as it would be kept."""
        return bool(from_numbers(to_numbers(embedding, self._numbers), self._numbers).isfinite().all())

    def write(self, content_hash: str, embedding: npt.NDArray[np.float32]) -> int:
        """Keep the embedding of a clip; one that is there is replaced.

        Args:
            content_hash: of the clip.
            embedding: [tokens, dim].

        Returns:
            The place of its entry.

        Raises:
            FailedError: the cache cannot be written to, or the disk is full.
        """
        values = to_numbers(embedding, self._numbers)
        entry = bytes.fromhex(content_hash) + _digest(content_hash, values) + values.tobytes()
        with self._lock, self._writing() as file:
            row = self._rows.get(bytes.fromhex(content_hash))
            if row is None:
                row = os.fstat(file).st_size // self._entry.itemsize
            before, place = _state_of(self.path), self.path.absolute()
            _write_at(file, row * self._entry.itemsize, entry)
            self._rows[bytes.fromhex(content_hash)] = row
            state, rows = _known_files.get(place, ((), {}))
            if state == before and rows is self._rows:  # nobody else has written since
                _known_files[place] = (_state_of(self.path), self._rows)
        return row

    def stored(self, rows: Sequence[int]) -> StoredEmbeddings:
        """The embeddings of some entries, where they lie.

        Args:
            rows: places that `find` and `write` have given.

        Raises:
            FailedError: the file has become shorter since.
        """
        entries, file = self._mapped()
        wanted = max(rows, default=-1) + 1
        if wanted > len(entries):
            raise FailedError(
                f"the embedding cache {self.path} holds {len(entries)} embeddings — this run has found {wanted} in it",
                ["it has been cut off or emptied since"],
                hint="the same command again computes what is lost; the cache is for no other program to change",
            )
        return StoredEmbeddings(entries["values"], rows, self._numbers, file)

    def _mapped(self) -> tuple[npt.NDArray[Any], MappedFile | None]:
        """All entries that are whole; whoever appends leaves them where they are."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                count = status.st_size // self._entry.itemsize
                if count:
                    mapped = np.memmap(file, self._entry, "r", shape=(count,))
                    return mapped, MappedFile(self.path, (status.st_dev, status.st_ino), mapped.nbytes)
        except (FileNotFoundError, NotADirectoryError):
            pass  # nothing has been written yet
        except OSError as error:
            title = f"the embedding cache {self.path} cannot be read — {error.strerror}"
            raise FailedError(title, hint=_OTHER_CACHE) from error
        return np.empty(0, self._entry), None

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """The file, locked until this ends or the process does."""
        try:
            if not self.path.exists():
                self.directory.mkdir(parents=True, exist_ok=True)
                with atomic_write(self.directory / "encoder.json", durable=False) as file:
                    file.write(json.dumps(self._origin, indent=2, sort_keys=True).encode() + b"\n")
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            state = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "cannot be written to"
            raise FailedError(
                f"the embedding cache {self.directory} {state} — {error.strerror}",
                hint=_OTHER_CACHE,
            ) from error


#: What this process knows of each file: its state, and the places of clips in it. A run asks a cache once a generator,
#: and to read where 100,000 clips are takes a tenth of a second.
_known_files: dict[Path, tuple[tuple[int, ...], dict[bytes, int]]] = {}


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes when somebody else changes a file; nothing of one that is not there."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _rows_of(path: Path, state: tuple[int, ...], entries: npt.NDArray[Any]) -> dict[bytes, int]:
    """The place of each clip in a file.

    Args:
        path: the file.
        state: of the file, before its entries were looked at.
        entries: of the file.
    """
    known, rows = _known_files.get(path.absolute(), ((), {}))
    if not state or known != state:
        clips = entries["clip"].tobytes()
        starts = range(0, len(clips), _DIGEST_BYTES)
        rows = {clips[start : start + _DIGEST_BYTES]: row for row, start in enumerate(starts)}
        _known_files[path.absolute()] = (state, rows)
    return rows


_OTHER_CACHE = "--set embedding.cache=DIR puts it elsewhere"


def encoder_key(encoder: Encoder, numbers: str = "float32") -> str:
    """Directory name of an encoder's embeddings: its name and a hash of all that changes them."""
    origin = json.dumps(_origin(encoder, numbers), sort_keys=True, separators=(",", ":"))
    return f"{encoder.name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"


def _origin(encoder: Encoder, numbers: str) -> dict[str, Any]:
    """Everything that changes the embeddings that an encoder makes of files."""
    packages = _SOUND_PACKAGES + (_FEATURE_PACKAGES if "weights" in encoder.identity else ())
    made_with = {
        "waveform": WAVEFORM_VERSION,
        "libsndfile": _libsndfile(),
        **{name: _version(name) for name in packages},
    }
    rounded = {} if numbers == "float32" else {"numbers": numbers}
    if encoder.precision != "float32":
        rounded["computed_in"] = encoder.precision
    return {"encoder": without_names(encoder.identity), "made_with": made_with} | rounded


@cache
def _version(package: str) -> str | None:
    """Version of a package; None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _libsndfile() -> str:
    import soundfile  # loads a native library

    return str(soundfile.__libsndfile_version__)


def _digest(content_hash: str, values: npt.NDArray[Any]) -> bytes:
    digest = hashlib.sha256(bytes.fromhex(content_hash))
    digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.digest()


def _write_at(file: int, start: int, content: bytes) -> None:
    """Write all of an entry; where there is no room for it, leave none of it behind the others."""
    end = os.fstat(file).st_size
    written = 0
    try:
        while written < len(content):
            written += os.pwrite(file, memoryview(content)[written:], start + written)
    except OSError:
        os.ftruncate(file, max(start, end - end % len(content)))
        raise
