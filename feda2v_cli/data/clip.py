"""A clip: one sound with one class, what it contains, and when it is of no use."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feda2v_cli.errors import FailedError
from feda2v_cli.profile.schema import PartName

#: One analysis window of the audio models in use (25 ms). What is shorter has no spectrum, and repeated to a clip's
#: length it would become a tone that nobody recorded.
SHORTEST_SECONDS = 0.025

#: Rates in Hz below which nothing can be heard, and above which nothing records.
LOWEST_RATE, HIGHEST_RATE = 1_000, 10_000_000

SKIP_HINT = "--skip-unreadable leaves such clips out, and lists them"


class UnreadableClipError(FailedError):
    """A clip that is there and cannot be used: it cannot be decoded, or holds no sound.

    Args:
        name: the clip's file.
        reason: what is wrong with it.
    """

    code = "unreadable-clip"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be used — {reason}", hint=SKIP_HINT)
        self.reason = reason


@dataclass(frozen=True)
class Waveform:
    """A decoded sound.

    Attributes:
        samples: float32 `[channels, samples]`, finite, mostly within ±1.
        sample_rate: Hz.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return int(self.samples.shape[1]) / self.sample_rate


@dataclass(frozen=True)
class Clip(ABC):
    """One sound with one class.

    Its label comes from metadata, its identity from `content`: bytes that determine the sound and cost little.
    Decoding is a step of its own, so that whoever knows the embedding of these bytes never decodes them.

    Attributes:
        name: file name, like `1-100032-A-0.wav`, or where that is not enough its place in the data set.
        class_name: class.
        fold: from 1; 0 where the data set has no folds.
        source: what it was cut from, when the data set tells: clips of one source are alike.
        part: what the data set's own split says of it; None without such a split.
        node: the only node that may hold it; None for any.
    """

    name: str
    class_name: str
    fold: int = 0
    source: str | None = field(default=None, kw_only=True)
    part: PartName | None = field(default=None, kw_only=True)
    node: int | None = field(default=None, kw_only=True)

    @property
    def place(self) -> str:
        """What messages call it."""
        return self.name

    @abstractmethod
    def content(self) -> bytes:
        """The bytes that determine the sound.

        Raises:
            UnreadableClipError: they cannot be read.
        """

    @abstractmethod
    def decode(self, content: bytes) -> Waveform:
        """The sound that `content` stands for.

        Raises:
            UnreadableClipError: it cannot be decoded, is too short, not finite or silent.
        """

    def read(self) -> Waveform:
        """The sound.

        Raises:
            UnreadableClipError: it cannot be read or decoded, is too short, not finite or silent.
        """
        return self.decode(self.content())

    def content_hash(self) -> str:
        """SHA-256 of `content`, in hexadecimal. Decodes nothing.

        Raises:
            UnreadableClipError: the content cannot be read.
        """
        return hash_of(self.content())


@dataclass(frozen=True)
class FileClip(Clip):
    """A clip that is a WAV, FLAC, OGG or MP3 file.

    Attributes:
        path: the file.
    """

    path: Path = field(kw_only=True)

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    def content(self) -> bytes:
        """The file's bytes."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise UnreadableClipError(self.place, error.strerror or type(error).__name__) from error

    def decode(self, content: bytes) -> Waveform:
        """The sound in the file's bytes."""
        from feda2v_cli.data.audio_file import UndecodableError, decode  # a native library; listing clips needs none

        try:
            waveform = Waveform(*decode(content))
        except UndecodableError as error:
            raise UnreadableClipError(self.place, str(error)) from error
        problem = problem_with(waveform)
        if problem:
            raise UnreadableClipError(self.place, problem)
        return waveform


def hash_of(content: bytes) -> str:
    """SHA-256 of a clip's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def problem_with(waveform: Waveform) -> str | None:
    """Why a sound is of no use, or None when it is of use.

    A clip whose samples are all equal is silence. It has no embedding that says anything of its class, and scaling it
    to full level would divide by zero, so it counts as unreadable.
    """
    samples = waveform.samples
    if samples.size == 0:
        return "it holds no samples"
    if not LOWEST_RATE <= waveform.sample_rate <= HIGHEST_RATE:
        return f"its sample rate is {waveform.sample_rate:,} Hz, expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz"
    if waveform.seconds < SHORTEST_SECONDS:
        return f"{waveform.seconds * 1000:.1f} ms long, at least {SHORTEST_SECONDS * 1000:.0f} ms are needed"
    if not np.isfinite(samples).all():
        return "it holds samples that are not finite numbers"
    if (samples == samples[:, :1]).all():
        return "it is digital silence: all samples are equal"
    return None


def fingerprint(clips: Iterable[Clip]) -> str:
    """A short hash of a list of clips: names, classes and folds, in any order. Reads no file.

    >>> fingerprint([])
    'e3b0c44298fc1c14'
    """
    lines = sorted(f"{clip.name}\t{clip.class_name}\t{clip.fold}\n" for clip in clips)
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]
