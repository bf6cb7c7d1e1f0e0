"""From the bytes of an audio file to its samples, without believing the header more than the bytes.

A header that promises more sound than is there belongs to a file that was cut off, by a download that broke or a disk
that was full. A header that promises nothing, as programs write it that do not know the end yet, is no fault.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
import soundfile

from feda2v_cli.errors import first_line

#: Frames that are decoded at once.
_BLOCK_FRAMES = 1 << 16
#: 2 GiB as float32: three hours at 48 kHz. A compressed file of a few kilobytes can hold a year of silence.
MOST_SAMPLES = 1 << 29
#: Headers that are wrong by less say nothing about the sound: some programs count the header's own bytes.
_TOLERATED_SECONDS = 0.025
#: Sizes from here on are what programs write that do not know the end yet.
_ENDLESS_BYTES = 0x7FFF0000
_OGG_PAGE_HEADER_BYTES = 27
_OGG_LAST_PAGE = 4


class UndecodableError(Exception):
    """An audio file that cannot be used, and why."""


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read from start to end. Where libsndfile seeks, it trusts the header's number of frames."""

    def seekable(self) -> bool:
        return False


def decode(content: bytes) -> tuple[npt.NDArray[np.float32], int]:
    """The samples in an audio file of any format that libsndfile knows.

    Args:
        content: the file's bytes.

    Returns:
        Float32 `[channels, samples]`, and their rate in Hz.

    Raises:
        UndecodableError: it is no audio, longer than `MOST_SAMPLES`, or ends before the end that its header promises.
    """
    if not content:
        raise UndecodableError("the file is empty")
    try:
        with _Stream(BytesIO(_with_open_end(content))) as file:
            samples = _samples(file)
            promised, rate, kind = file.frames, file.samplerate, file.format
    except (soundfile.SoundFileError, ValueError, OSError) as error:
        # libsndfile's own words: the whole message names an object of Python.
        words = getattr(error, "error_string", None) or first_line(error)
        raise UndecodableError(f"{len(content)} bytes that are no audio this program can decode: {words}") from error
    promises_frames = kind == "FLAC" or (kind == "MP3" and _has_length_tag(content))
    if promises_frames and promised < np.iinfo(np.int64).max:
        _check_length(samples.shape[1], promised, rate)
    _check_bytes(content, samples.shape[1], rate)
    return samples, rate


def _samples(file: soundfile.SoundFile) -> npt.NDArray[np.float32]:
    blocks: list[npt.NDArray[np.float32]] = []
    held = 0
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        held += block.size
        if held > MOST_SAMPLES:
            raise UndecodableError(f"it holds more than {MOST_SAMPLES:,} samples — cut it into clips")
        blocks.append(block.T)
    if not blocks:
        return np.zeros((file.channels, 0), np.float32)
    return np.concatenate(blocks, axis=1, out=np.empty((file.channels, held // file.channels), np.float32))


def _check_length(there: int, promised: int, rate: int) -> None:
    if (promised - there) / rate > _TOLERATED_SECONDS:
        raise _truncated(there / rate, promised / rate)


def _check_bytes(content: bytes, frames: int, rate: int) -> None:
    """Compare the bytes of sound that a header promises with those that are there."""
    if content[:4] == b"OggS":
        if not _ogg_ends(content):
            raise UndecodableError(
                f"it is truncated: the last page of its stream is missing, after {frames / rate:.2f} s"
            )
        return
    found = _sound_bytes(content)
    if found is None or not frames:
        return
    start, promised = found
    there = len(content) - start
    if 0 < promised < _ENDLESS_BYTES and promised > there:
        seconds = frames / rate
        whole = seconds * promised / there
        if whole - seconds > _TOLERATED_SECONDS:
            raise _truncated(seconds, whole)


def _truncated(there: float, promised: float) -> UndecodableError:
    return UndecodableError(
        f"it is truncated: its header promises {promised:.2f} s of sound, and {there:.2f} s are there"
    )


def _sound_bytes(content: bytes) -> tuple[int, int] | None:
    """Where the sound begins, and how many bytes of it the header promises; None for headers that do not say."""
    match content[:4]:
        case b"RIFF" | b"RIFX" | b"RF64" | b"FORM" | b"caff":
            return _chunk_of_sound(content)
        case b"riff":  # Sony Wave64: the size of the whole file, its own header included
            return 0, int.from_bytes(content[16:24], "little")
        case b".snd":
            return int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
    return None


def _chunk_of_sound(content: bytes) -> tuple[int, int] | None:
    size_of_64_bits = None
    for kind, start, size in _chunks(content):
        if kind == b"ds64":
            size_of_64_bits = int.from_bytes(content[start + 8 : start + 16], "little")
        if kind == b"data":
            return start, size_of_64_bits if size == 0xFFFFFFFF and size_of_64_bits is not None else size
        if kind == b"SSND":
            return start, size
    return None


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of every chunk of a file in RIFF, IFF or CAF."""
    order: Literal["big", "little"] = "little" if content[:4] in (b"RIFF", b"RF64") else "big"
    place, size_bytes, even = (8, 8, False) if content[:4] == b"caff" else (12, 4, True)
    while place + 4 + size_bytes <= len(content):
        start = place + 4 + size_bytes
        size = int.from_bytes(content[place + 4 : start], order)
        yield content[place : place + 4], start, size
        place = start + size + (size % 2 if even else 0)


def _with_open_end(content: bytes) -> bytes:
    """The file with its sound up to the end, when its header was written before the sound and never mended."""
    found = _chunk_of_sound(content) if content[:4] == b"RIFF" else None
    if found is None or found[1] != 0:
        return content
    start = found[0]
    whole = int.from_bytes(content[4:8], "little") + 8
    if not whole <= start < len(content):
        return content
    return b"RIFF" + b"\xff" * 4 + content[8 : start - 4] + b"\xff" * 4 + content[start:]


def _ogg_ends(content: bytes) -> bool:
    """Whether the last page of a file in Ogg is there, whole, and says that it is the last of its stream."""
    place, last = 0, False
    while content[place : place + 4] == b"OggS":
        segments = content[place + 26 : place + _OGG_PAGE_HEADER_BYTES]
        body = place + _OGG_PAGE_HEADER_BYTES + (segments[0] if segments else 0)
        lengths = content[place + _OGG_PAGE_HEADER_BYTES : body]
        end = body + sum(lengths)
        if not segments or end > len(content):
            return False
        last = bool(content[place + 5] & _OGG_LAST_PAGE)
        place = end
    return last


def _has_length_tag(content: bytes) -> bool:
    """Whether an MP3 file says how long it is. Without, libsndfile estimates it from the file's bytes."""
    start = 0
    if content[:3] == b"ID3":
        digits = content[6:10]
        start = 10 + sum((digit & 0x7F) << (7 * place) for place, digit in enumerate(reversed(digits)))
    first_frame = content[start : start + 1024]
    return any(tag in first_frame for tag in (b"Xing", b"Info", b"VBRI"))
