"""Where and with what a built-in sound is recorded: what makes clips of one class differ, and of two classes alike."""

import numpy as np

from feda2v_cli.data.synthesis import SAMPLE_RATE, Random, Samples, filtered, level, noise


def recorded(random: Random, sound: Samples) -> Samples:
    """A sound as a microphone would have caught it: `[samples]`, within ±1.

    Draws a room's echo, the microphone's colour, the background and its loudness, and the level.
    """
    sound = _echoing(random, sound)
    sound = filtered(
        sound, low=random.uniform(20, 180), high=random.uniform(3200, 7800), tilt=random.uniform(-0.4, 0.3)
    )
    background = noise(random, len(sound), low=30, high=random.uniform(800, 7000), tilt=random.uniform(-1.2, -0.1))
    decibels = random.uniform(-45, -16)
    sound = sound + level(background, 10 ** (decibels / 20))
    loudest = np.float32(np.abs(sound).max())
    return sound * np.float32(random.uniform(0.05, 0.95)) / loudest


def _echoing(random: Random, sound: Samples) -> Samples:
    """A sound and two of its reflections."""
    echoing = sound.copy()
    for _ in range(2):
        delay = int(random.uniform(0.008, 0.09) * SAMPLE_RATE)
        echoing[delay:] += np.float32(random.uniform(0, 0.5)) * sound[:-delay]
    return echoing
