"""A clip in a page: its sound and its spectrogram."""

import os
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feda2v_cli.data.clip import Clip, FileClip, UnreadableClipError, Waveform
from feda2v_cli.errors import Feda2vError
from feda2v_cli.paths import is_file
from feda2v_cli.run.record import RunRecord

#: A clip is a few seconds; what is longer makes a page that cannot be mailed.
MOST_SECONDS = 10.0
#: Of a spectrogram.
WIDTH, HEIGHT = 240, 96
_WINDOW_SECONDS = 0.032
#: Below the loudest; what is fainter is black.
_DECIBELS = 70.0


class Clips:
    """The clips of a run by name: those of its data, and files that its command line names.

    Args:
        record: of the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._directory = Path(str(record.info.get("directory") or ""))

    def read(self, name: str) -> Waveform:
        """The sound of a clip, one channel, not longer than `MOST_SECONDS`.

        Raises:
            ValueError: there is no such clip any more, or it cannot be decoded.
        """
        clip = self._named_by_the_command.get(name) or self._of_the_data.get(name)
        if clip is None:
            raise ValueError("it is not there any more")
        try:
            heard = clip.read()
        except UnreadableClipError as error:
            raise ValueError(error.reason) from error
        length = int(MOST_SECONDS * heard.sample_rate)
        return Waveform(heard.samples.mean(0, keepdims=True)[:, :length], heard.sample_rate)

    @cached_property
    def _named_by_the_command(self) -> dict[str, Clip]:
        paths = [self._directory / word for word in self._record.command[1:]]
        return {path.name: FileClip(path.name, "", 1, path=path) for path in paths if _is_file(path)}

    @cached_property
    def _of_the_data(self) -> dict[str, Clip]:
        """Clips of all nodes by name; none where the data are not what they were."""
        from feda2v_cli.data.nodes import clips_of_nodes
        from feda2v_cli.profile.load import load_profile

        try:
            profile = load_profile(str(self._record.path / "resolved.toml"), environment={}).profile
            data = profile.data.model_copy(update=self._root(profile.data.root))
            own = tuple(node.model_copy(update=self._root(node.root)) for node in profile.nodes)
            profile = profile.model_copy(update={"data": data, "nodes": own})
            nodes = clips_of_nodes(profile)
        except Feda2vError:
            return {}
        return {clip.name: clip for node in nodes for clip in node.all}

    def _root(self, root: Path | None) -> dict[str, Path]:
        """Where a root lay from the directory in which the run ran."""
        return {} if root is None else {"root": self._directory / os.path.expanduser(root)}


def _is_file(path: Path) -> bool:
    try:
        return is_file(path)
    except Feda2vError:  # a word of a command line that is no path
        return False


def flac(sound: Waveform) -> bytes:
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


def spectrogram(sound: Waveform) -> npt.NDArray[np.uint8]:
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
