"""Embeddings as they lie on disk, mapped into memory: what is read of them is read from the page cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from feda2v_cli.errors import FailedError

#: How numbers lie in files. NumPy knows no bfloat16; its bits lie there as those of whole numbers.
_IN_FILES: dict[str, npt.DTypeLike] = {"float32": "<f4", "float16": "<f2", "bfloat16": "<i2"}
_IN_MEMORY = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def to_numbers(embedding: npt.NDArray[np.float32], numbers: str) -> npt.NDArray[Any]:
    """An embedding as it lies in a file.

    Args:
        embedding: float32, of any shape.
        numbers: float32, float16 or bfloat16.
    """
    rounded = torch.from_numpy(np.array(embedding, np.float32)).to(_IN_MEMORY[numbers])
    return (rounded.view(torch.int16) if numbers == "bfloat16" else rounded).numpy().astype(_IN_FILES[numbers])


def from_numbers(values: npt.NDArray[Any], numbers: str) -> Tensor:
    """Embeddings of a file as float32.

    Args:
        values: a copy of what lies in a file.
        numbers: float32, float16 or bfloat16.
    """
    tensor = torch.from_numpy(values)
    return (tensor.view(torch.bfloat16) if numbers == "bfloat16" else tensor).float()


def in_files(numbers: str) -> npt.DTypeLike:
    """How NumPy reads such numbers from a file."""
    return _IN_FILES[numbers]


@dataclass(frozen=True)
class MappedFile:
    """A file as it was when it was mapped.

    Whoever touches a part of a map that has been cut off since is killed (SIGBUS): it is asked before, which costs a
    microsecond and leaves no more than the time of a read.

    Attributes:
        path: of the file.
        place: device and inode; another file of the same name is not the one that is mapped.
        bytes: that are mapped.
    """

    path: Path
    place: tuple[int, int]
    bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether all of it is still there."""
        try:
            now = self.path.stat()
        except OSError:
            return True  # removed or out of reach: what is mapped stays
        return (now.st_dev, now.st_ino) != self.place or now.st_size >= self.bytes

    def check(self) -> None:
        """Make sure that all of it is still there.

        Raises:
            FailedError: it has been cut off since.
        """
        if not self.is_whole:
            raise FailedError(
                f"the embedding cache {self.path} has been cut off or emptied while a run reads it",
                [f"{self.bytes} bytes of it are mapped"],
                hint="the same command again computes what is lost; the cache is for no other program to change",
            )


class StoredEmbeddings:
    """Embeddings of clips where they lie, [clips, tokens, dim]: all tokens of 3,200 clips are 12 GB.

    Args:
        values: mapped from a file, [entries, tokens, dim].
        rows: the entry of each clip, [clips].
        numbers: float32, float16 or bfloat16.
        file: that is mapped, where another process might cut it off.

    What reads raises FailedError where that has happened.
    """

    def __init__(
        self, values: npt.NDArray[Any], rows: Sequence[int], numbers: str, file: MappedFile | None = None
    ) -> None:
        self._file = file
        self._values = values
        self._rows = np.asarray(rows, np.int64)
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Clips, tokens and dimensions."""
        tokens, dim = self._values.shape[1:]
        return len(self._rows), tokens, dim

    @property
    def bytes(self) -> int:
        """Bytes that all of them would take in memory, as float32."""
        clips, tokens, dim = self.shape
        return 4 * clips * tokens * dim

    def read(self, places: Tensor | slice = slice(None)) -> Tensor:
        """Some embeddings, float32 [places, tokens, dim], in memory of their own.

        Args:
            places: of the clips, in any order, [places].
        """
        self._check()
        rows = self._rows[places.numpy() if isinstance(places, Tensor) else places]
        return from_numbers(self._values[rows], self._numbers)

    def features(self, part: slice) -> Tensor:
        """Some features of all embeddings, float32 [clips, features].

        Args:
            part: of tokens × dim.
        """
        self._check()
        flat = self._values.reshape(len(self._values), -1)
        return from_numbers(flat[self._rows, part], self._numbers)

    def of(self, places: Sequence[int]) -> "StoredEmbeddings":
        """Those of some clips, still where they lie."""
        return StoredEmbeddings(self._values, self._rows[list(places)].tolist(), self._numbers, self._file)

    def _check(self) -> None:
        if self._file is not None:
            self._file.check()
