"""The built-in sounds: 15 classes of 40 clips, made by this package, the same everywhere and every time.

They are what runs when no recordings are there. They sound like what they are called, and within a class differ in
pitch, tempo, timbre, level, surroundings and microphone, so that telling the classes apart is work: about as much as
with real recordings.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from feda2v_cli.data.clip import Clip, Waveform
from feda2v_cli.data.sounds import SECONDS, SOUNDS
from feda2v_cli.data.surroundings import recorded
from feda2v_cli.data.synthesis import SAMPLE_RATE

#: Part of every clip's content: raised whenever a recipe changes, so that no cache mistakes old sounds for new ones.
GENERATOR_VERSION = 2
CLIPS_PER_CLASS = 40
_FOLDS = 5


@dataclass(frozen=True)
class BuiltinClip(Clip):
    """A sound that the package makes.

    Attributes:
        take: tells the clips of a class apart; 0 to 39 for those of the folds, and any other for one more.
    """

    take: int = field(kw_only=True)

    def content(self) -> bytes:
        """The recipe: generator version, class and take. Nothing is synthesised to learn it."""
        return f"feda2v built-in sound, version {GENERATOR_VERSION}, {self.class_name}, take {self.take}".encode()

    def decode(self, content: bytes) -> Waveform:
        """Follow the recipe: float32 `[1, 80000]` at 16 kHz."""
        key = int.from_bytes(hashlib.sha256(content).digest()[:16], "little")
        random = np.random.Generator(np.random.Philox(key=key))
        sound = recorded(random, SOUNDS[self.class_name](random))
        return Waveform(sound[np.newaxis].astype(np.float32), SAMPLE_RATE)


def builtin_clips() -> tuple[BuiltinClip, ...]:
    """All 600 clips, each of `SECONDS` seconds; 8 of a class in each of the folds 1 to 5."""
    return tuple(
        BuiltinClip(f"{take % _FOLDS + 1}-{name}-{take:02}.wav", name, take % _FOLDS + 1, take=take)
        for name in SOUNDS
        for take in range(CLIPS_PER_CLASS)
    )


__all__ = ["CLIPS_PER_CLASS", "GENERATOR_VERSION", "SECONDS", "BuiltinClip", "builtin_clips"]
