"""Embeddings on disk, between runs: one file a clip and encoder."""

import errno
import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.embedding.identity import without_names
from feda2v_cli.embedding.waveform import VERSION as WAVEFORM_VERSION
from feda2v_cli.errors import FailedError

Embedding = npt.NDArray[np.float32]

_DIGEST_BYTES = hashlib.sha256().digest_size

#: What decodes and resamples sounds, and makes spectra of them.
_SOUND_PACKAGES = ("soundfile", "soxr", "torchaudio")
#: What makes the input of a model of Hugging Face.
_FEATURE_PACKAGES = ("transformers",)


class DamagedEntryError(Exception):
    """An entry of the cache that is not what was written: truncated, changed, or of another clip."""


class EmbeddingCache:
    """Embeddings of one encoder, by the content of the clips.

    `<directory>/<encoder key>/<hash[:2]>/<hash>.npy`, and beside them `encoder.json`, which says what the key means.
    After the array an entry holds a SHA-256 of the clip's hash and of all bytes before it. Entries appear whole or not
    at all, so several processes may read and write at once.

    Args:
        directory: the cache of all encoders. It is made when the first entry is written.
        encoder: whose embeddings these are.
    """

    def __init__(self, directory: Path, encoder: Encoder) -> None:
        self.directory = directory.expanduser() / encoder_key(encoder)
        self._origin = _origin(encoder)
        self._shape = encoder.shape
        self._empty = np.zeros(encoder.shape, np.float32)
        self._header = _npy(self._empty)[: -self._empty.nbytes]

    def path_of(self, content_hash: str) -> Path:
        """Where the embedding of a clip lies, or would lie."""
        return self.directory / content_hash[:2] / f"{content_hash}.npy"

    def read(self, content_hash: str) -> Embedding | None:
        """The embedding of a clip; None when there is none.

        Returns:
            Read-only float32 `[tokens, dim]`.

        Raises:
            DamagedEntryError: the entry is not what was written for this clip.
            FailedError: the entry is there and may not be read.
        """
        path = self.path_of(content_hash)
        try:
            entry = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            title = f"the embedding cache {self.directory} cannot be read — {path.name}: {error.strerror}"
            raise FailedError(title, hint=_OTHER_CACHE) from error
        array, digest = entry[:-_DIGEST_BYTES], entry[-_DIGEST_BYTES:]
        size = len(self._header) + self._empty.nbytes
        if len(array) != size or not array.startswith(self._header) or digest != _digest(content_hash, array):
            raise DamagedEntryError(path)
        return np.frombuffer(array, np.float32, offset=len(self._header)).reshape(self._shape)

    def write(self, content_hash: str, embedding: Embedding) -> None:
        """Keep the embedding of a clip; one that is there is replaced.

        Args:
            content_hash: of the clip.
            embedding: float32 `[tokens, dim]`.

        Raises:
            FailedError: the cache cannot be written to, or the disk is full.
        """
        try:
            if not (self.directory / "encoder.json").exists():
                text = json.dumps(self._origin, indent=2, sort_keys=True) + "\n"
                _write(self.directory / "encoder.json", text.encode())
            array = _npy(embedding)
            _write(self.path_of(content_hash), array + _digest(content_hash, array))
        except OSError as error:
            state = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "cannot be written to"
            raise FailedError(
                f"the embedding cache {self.directory} {state} — {error.strerror}",
                hint=_OTHER_CACHE,
            ) from error


_OTHER_CACHE = "--set embedding.cache=DIR puts it elsewhere"


def encoder_key(encoder: Encoder) -> str:
    """Directory name of an encoder's embeddings: its name and a hash of all that changes them."""
    origin = json.dumps(_origin(encoder), sort_keys=True, separators=(",", ":"))
    return f"{encoder.name}-{hashlib.sha256(origin.encode()).hexdigest()[:16]}"


def _origin(encoder: Encoder) -> dict[str, Any]:
    """Everything that changes the embeddings that an encoder makes of files."""
    packages = _SOUND_PACKAGES + (_FEATURE_PACKAGES if "weights" in encoder.identity else ())
    made_with = {
        "waveform": WAVEFORM_VERSION,
        "libsndfile": _libsndfile(),
        **{name: _version(name) for name in packages},
    }
    return {"encoder": without_names(encoder.identity), "made_with": made_with}


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


def _digest(content_hash: str, array: bytes) -> bytes:
    return hashlib.sha256(content_hash.encode() + array).digest()


def _npy(embedding: Embedding) -> bytes:
    """A file's bytes. Made in memory, since numpy, writing to a disk that is full, does not say that it is full."""
    buffer = BytesIO()
    np.save(buffer, embedding, allow_pickle=False)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, durable=False) as file:
        file.write(content)
