"""A clip in a page: its sound and its spectrogram."""

from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feda2v_cli.data.builtin import builtin_clips
from feda2v_cli.data.clip import Clip, FileClip, UnreadableClipError, Waveform

#: A clip is a few seconds; what is longer makes a page that cannot be mailed.
MOST_SECONDS = 10.0
#: Of a spectrogram.
WIDTH, HEIGHT = 240, 96
_WINDOW_SECONDS = 0.032
#: Below the loudest; what is fainter is black.
_DECIBELS = 70.0
_FOLDERS = ("", "audio")

Sound = Waveform


def find_clip(name: str, directory: Path, root: Path | None) -> Sound:
    """The sound that a run calls by a path or a name, one channel, not longer than `MOST_SECONDS`.

    Args:
        name: a file, relative to the run or to where it was started, or to its data; or a built-in sound.
        directory: of the run.
        root: of its data.

    Raises:
        ValueError: there is no such clip, or it cannot be decoded.
    """
    places = [directory / name, Path(name), *(root / folder / name for folder in _FOLDERS if root)]
    path = next((place for place in places if place.is_file()), None)
    found: Clip | None = None
    if path is not None:
        found = FileClip(path.name, "", 1, path=path)
    elif root is None:
        found = next((clip for clip in builtin_clips() if clip.name == Path(name).name), None)
    if found is None:
        raise ValueError("it is not there")
    try:
        heard = found.read()
    except UnreadableClipError as error:
        raise ValueError(error.reason) from error
    length = int(MOST_SECONDS * heard.sample_rate)
    return Waveform(heard.samples.mean(0, keepdims=True)[:, :length], heard.sample_rate)


def flac(sound: Sound) -> bytes:
    """A sound as a file that every browser plays, without loss.

    Raises:
        ValueError: FLAC has no such sample rate.
    """
    import soundfile

    written = BytesIO()
    try:
        soundfile.write(written, sound.samples[0].clip(-1, 1), sound.sample_rate, format="FLAC", subtype="PCM_16")
    except soundfile.SoundFileError as error:
        raise ValueError(f"{sound.sample_rate} Hz cannot be written") from error
    return written.getvalue()


def spectrogram(sound: Sound) -> npt.NDArray[np.uint8]:
    """Power by time and frequency, [HEIGHT, WIDTH], low frequencies below, the loudest white."""
    samples = sound.samples[0]
    size = max(2 * HEIGHT, int(_WINDOW_SECONDS * sound.sample_rate))
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    starts = np.linspace(0, len(samples) - size, WIDTH).astype(int)
    frames = samples[starts[:, None] + np.arange(size)] * np.hanning(size)  # [WIDTH, size]
    power = np.abs(np.fft.rfft(frames)) ** 2  # [WIDTH, size // 2 + 1]
    bounds = np.linspace(0, power.shape[1], HEIGHT + 1).astype(int)
    bands = np.add.reduceat(power, bounds[:-1], axis=1)
    decibels = 10 * np.log10(np.maximum(bands, 1e-12))
    level = 1 + (decibels - decibels.max()) / _DECIBELS
    return np.asarray(np.ascontiguousarray((255 * level.clip(0, 1)).T[::-1]), dtype=np.uint8)
