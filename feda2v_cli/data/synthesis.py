"""What sounds are made of: tones, noises, envelopes, events in time, all at one sample rate."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.floating[Any]]
Random = np.random.Generator

#: Hz. What the encoders listen at by default, so that nothing has to be resampled.
SAMPLE_RATE = 16_000
_NYQUIST = SAMPLE_RATE / 2
#: Samples of one period of a tone. Reading them at the nearest one adds noise 75 dB below the tone.
_PERIOD = 8192


def times(seconds: float) -> Samples:
    """Time of every sample, in seconds from 0: `[samples]`."""
    return np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / np.float32(SAMPLE_RATE)


def tone(frequency: Samples, harmonics: Sequence[float] | Samples) -> Samples:
    """A tone whose pitch moves.

    Args:
        frequency: pitch at every sample, Hz: `[samples]`.
        harmonics: amplitudes of the pitch and its multiples; those above half the sample rate are left out.

    Returns:
        `[samples]`.
    """
    turns = np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE
    audible = max(1, int(_NYQUIST / max(float(frequency.max()), 1.0)))
    spectrum = np.zeros(_PERIOD // 2 + 1, np.complex64)
    spectrum[1 : min(audible, len(harmonics)) + 1] = np.asarray(harmonics[:audible], np.float32) * (-0.5j * _PERIOD)
    period = np.fft.irfft(spectrum, _PERIOD)
    return np.take(period, ((turns - np.floor(turns)) * _PERIOD).astype(np.int64), mode="clip")


def falling_harmonics(count: int, slope: float) -> Samples:
    """Amplitudes of `count` harmonics that fall as `1 / multiple ** slope`: `[count]`."""
    return (np.arange(1, count + 1, dtype=np.float32) ** np.float32(-slope)).astype(np.float32)


def noise(random: Random, samples: int, low: float, high: float, tilt: float = 0.0) -> Samples:
    """Noise of a band, with soft edges.

    Args:
        random: where the noise comes from.
        samples: how many.
        low: lower edge, Hz.
        high: upper edge, Hz.
        tilt: power law of the amplitudes over frequency: 0 is white, -0.5 pink, -1 brown.

    Returns:
        Root mean square 1: `[samples]`.
    """
    padded = _padded(samples)
    spectrum = random.standard_normal(padded + 2, dtype=np.float32).view(np.complex64)
    return level(np.fft.irfft(spectrum * _band(padded, low, high, tilt), padded)[:samples])


def filtered(sound: Samples, low: float, high: float, tilt: float = 0.0) -> Samples:
    """A sound through a band filter with soft edges and a tilt, scaled to root mean square 1: `[samples]`."""
    padded = _padded(len(sound))
    spectrum = _spectrum(sound, padded) * _band(padded, low, high, tilt)
    return level(np.fft.irfft(spectrum, padded)[: len(sound)])


def resonant(sound: Samples, formants: Sequence[tuple[float, float]]) -> Samples:
    """A sound through resonances, scaled to root mean square 1: `[samples]`.

    Args:
        sound: `[samples]`.
        formants: centre and width of each resonance, Hz.
    """
    padded = _padded(len(sound))
    frequency = _frequencies(padded)
    response = np.full(len(frequency), 0.03, np.float32)
    for centre, width in formants:
        response += 1 / (1 + np.square((frequency - np.float32(centre)) / np.float32(width)))
    return level(np.fft.irfft(_spectrum(sound, padded) * response, padded)[: len(sound)])


def _padded(samples: int) -> int:
    """The next length whose Fourier transform is fast, whatever the length of a sound."""
    return -(-samples // 2000) * 2000


def _spectrum(sound: Samples, samples: int) -> npt.NDArray[np.complexfloating[Any, Any]]:
    """The spectrum of a sound, padded. Numpy is faster at this in double precision, and at the inverse in single."""
    return np.fft.rfft(sound.astype(np.float64), samples).astype(np.complex64)


@lru_cache(maxsize=64)
def _frequencies(samples: int) -> Samples:
    """Frequencies of the spectrum of so many samples, Hz; 1 in place of 0."""
    frequencies = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE).astype(np.float32)
    frequencies[0] = 1
    return frequencies


def _band(samples: int, low: float, high: float, tilt: float) -> Samples:
    """The response of a band filter with soft edges and a tilt."""
    frequency = _frequencies(samples)
    below, above = np.square(np.float32(low) / frequency), np.square(frequency / np.float32(high))
    return np.asarray(frequency ** np.float32(tilt) / (1 + np.square(below)) / (1 + np.square(above)), np.float32)


def level(sound: Samples, root_mean_square: float = 1.0) -> Samples:
    """A sound scaled to a root mean square: `[samples]`."""
    return sound * np.float32(root_mean_square / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9))


def envelope(samples: int, attack: float, decay: float) -> Samples:
    """Rises over `attack` seconds, then falls to a third every `decay` seconds; ends at 0: `[samples]`."""
    time = np.arange(samples, dtype=np.float32) / np.float32(SAMPLE_RATE)
    remaining = time[::-1]
    shape = np.minimum(time / np.float32(attack), 1) * np.exp(
        -np.maximum(time - np.float32(attack), 0) / np.float32(decay)
    )
    return np.asarray(shape * np.minimum(remaining / np.float32(0.01), 1), np.float32)


def arc(samples: int, points: Sequence[float]) -> Samples:
    """A curve through evenly spaced points, such as a pitch contour: `[samples]`."""
    return np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, len(points)), points).astype(np.float32)


def wander(random: Random, samples: int, rate: float) -> Samples:
    """A slow random curve within about ±1 that turns `rate` times a second: `[samples]`."""
    points = random.standard_normal(max(2, round(rate * samples / SAMPLE_RATE) + 2)) / 2
    return arc(samples, points.tolist())


def sequence(
    seconds: float, starts: Sequence[float] | npt.NDArray[np.float64], event: Callable[[], Samples]
) -> Samples:
    """Events at given times, each made anew, cut at the end: `[samples]`."""
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    for start in starts:
        first = int(start * SAMPLE_RATE)
        made = event()[: max(0, len(sound) - first)]
        sound[first : first + len(made)] += made
    return sound


def regular_starts(random: Random, seconds: float, gap: float, jitter: float) -> npt.NDArray[np.float64]:
    """Start times about `gap` seconds apart, each gap off by up to the share `jitter`."""
    gaps = gap * (1 + jitter * random.uniform(-1, 1, size=int(seconds / gap) + 2))
    starts: npt.NDArray[np.float64] = random.uniform(0, gap) + np.cumsum(gaps) - gaps[0]
    return starts[starts < seconds]


def impulses(random: Random, seconds: float, rate: float, heaviness: float) -> Samples:
    """Clicks at random times, `rate` a second, whose loudness is Pareto with index `heaviness`: `[samples]`."""
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    count = max(1, int(random.poisson(rate * seconds)))
    loudness = (1 + random.pareto(heaviness, count)) * random.choice([-1.0, 1.0], count)
    np.add.at(sound, random.integers(0, len(sound), count), loudness.astype(np.float32))
    return sound
