"""The built-in sounds: 15 classes of 40 clips, made by this package, the same everywhere and every time.

They are what runs when no recordings are there. They sound like what they are called, and within a class differ in
pitch, tempo, timbre, level, surroundings and microphone, so that telling the classes apart is work: about as much as
with real recordings.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from feda2v_cli.data.clip import Clip, Waveform
from feda2v_cli.data.sounds import SOUNDS
from feda2v_cli.data.synthesis import SAMPLE_RATE, Random, Samples, filtered, level, noise

#: Part of every clip's content: raised whenever a recipe changes, so that no cache mistakes old sounds for new ones.
GENERATOR_VERSION = 2
CLIPS_PER_CLASS = 40
_FOLDS = 5
#: Share of clips that have another sound in the distance, of whatever class. With the background's loudness it makes
#: the built-in sounds about as hard to tell apart as real recordings, on which a linear probe of the default embedding
#: reached 0.86 and the nearest class mean 0.63 (here 0.82 and 0.67). Easier ones would flatter all that is measured.
SHARE_WITH_DISTANT_SOUND = 0.6


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
        sound = _recorded(random, SOUNDS[self.class_name](random))
        return Waveform(sound[np.newaxis].astype(np.float32), SAMPLE_RATE)


def builtin_clips() -> tuple[BuiltinClip, ...]:
    """All 600 clips, each of `SECONDS` seconds; 8 of a class in each of the folds 1 to 5."""
    return tuple(
        BuiltinClip(f"{take % _FOLDS + 1}-{name}-{take:02}.wav", name, take % _FOLDS + 1, take=take)
        for name in SOUNDS
        for take in range(CLIPS_PER_CLASS)
    )


def _recorded(random: Random, sound: Samples) -> Samples:
    """A sound as a microphone would have caught it: `[samples]`, within ±1.

    Draws what else is heard in the distance, a room's echo, the microphone's colour, the background and its loudness,
    and the level.
    """
    sound = _echoing(random, _with_distant_sound(random, level(sound)))
    sound = filtered(
        sound, low=random.uniform(20, 180), high=random.uniform(3200, 7800), tilt=random.uniform(-0.4, 0.3)
    )
    background = noise(random, len(sound), low=30, high=random.uniform(800, 7000), tilt=random.uniform(-1.2, -0.1))
    decibels = random.uniform(-30, -6)
    sound = sound + level(background, 10 ** (decibels / 20))
    loudest = np.float32(np.abs(sound).max())
    return sound * np.float32(random.uniform(0.05, 0.95)) / loudest


def _with_distant_sound(random: Random, sound: Samples) -> Samples:
    """A sound of level 1 and, in most clips, a fainter one of any class."""
    if random.random() >= SHARE_WITH_DISTANT_SOUND:
        return sound
    distant = SOUNDS[random.choice(list(SOUNDS))](random)
    return sound + level(distant, 10 ** (random.uniform(-25, -6) / 20))


def _echoing(random: Random, sound: Samples) -> Samples:
    """A sound and two of its reflections."""
    echoing = sound.copy()
    for _ in range(2):
        delay = int(random.uniform(0.008, 0.09) * SAMPLE_RATE)
        echoing[delay:] += np.float32(random.uniform(0, 0.5)) * sound[:-delay]
    return echoing
