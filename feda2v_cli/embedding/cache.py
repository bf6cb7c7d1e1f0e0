"""Embeddings on disk, between runs: one file a clip and encoder."""

import errno
import hashlib
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.errors import FailedError

Embedding = npt.NDArray[np.float32]


class DamagedEntryError(Exception):
    """An entry of the cache that is not what was written: truncated, or of another shape."""


class EmbeddingCache:
    """Embeddings of one encoder, by the content of the clips.

    `<directory>/<encoder key>/<hash[:2]>/<hash>.npy`, and beside them `encoder.json`, which says what the key means.
    Entries appear whole or not at all, so several processes may read and write at once.

    Args:
        directory: the cache of all encoders. It is made when the first entry is written.
        encoder: whose embeddings these are.
    """

    def __init__(self, directory: Path, encoder: Encoder) -> None:
        self.directory = directory.expanduser() / encoder_key(encoder)
        self._identity = dict(encoder.identity)
        self._shape = encoder.shape

    def path_of(self, content_hash: str) -> Path:
        """Where the embedding of a clip lies, or would lie."""
        return self.directory / content_hash[:2] / f"{content_hash}.npy"

    def read(self, content_hash: str) -> Embedding | None:
        """The embedding of a clip, mapped from the file and not copied; None when there is none.

        Returns:
            Read-only float32 `[tokens, dim]`.

        Raises:
            DamagedEntryError: the entry is truncated, of another shape or type, or not finite.
            FailedError: the entry is there and may not be read.
        """
        path = self.path_of(content_hash)
        try:
            embedding: Embedding = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            return None
        except (ValueError, EOFError) as error:
            raise DamagedEntryError(path) from error
        except OSError as error:
            title = f"the embedding cache {self.directory} cannot be read — {path.name}: {error.strerror}"
            raise FailedError(title, hint=_OTHER_CACHE) from error
        if embedding.shape != self._shape or embedding.dtype != np.float32 or not np.isfinite(embedding).all():
            raise DamagedEntryError(path)
        return embedding

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
                text = json.dumps(self._identity, indent=2, sort_keys=True) + "\n"
                _write(self.directory / "encoder.json", text.encode())
            _write(self.path_of(content_hash), _npy(embedding))
        except OSError as error:
            state = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "cannot be written to"
            raise FailedError(
                f"the embedding cache {self.directory} {state} — {error.strerror}",
                hint=_OTHER_CACHE,
            ) from error


_OTHER_CACHE = "--set embedding.cache=DIR puts it elsewhere"


def encoder_key(encoder: Encoder) -> str:
    """Directory name of an encoder's embeddings: its name and a hash of its identity."""
    identity = json.dumps(dict(encoder.identity), sort_keys=True, separators=(",", ":"))
    return f"{encoder.name}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _npy(embedding: Embedding) -> bytes:
    """A file's bytes. Made in memory, since numpy, writing to a disk that is full, does not say that it is full."""
    buffer = BytesIO()
    np.save(buffer, embedding, allow_pickle=False)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, durable=False) as file:
        file.write(content)
