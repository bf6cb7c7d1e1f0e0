"""From a decoded clip to the waveform that encoders take: one channel, one rate, one length, full level.

Padding a short sound with silence makes every statistic over time bimodal: on real recordings a linear probe falls from
0.86 to 0.73. So silence at the ends is cut off, and what remains is repeated.
"""

import math

import soxr
import torch
from torch import Tensor

from feda2v_cli.data.clip import SHORTEST_SECONDS, Waveform

#: Raised when the same sound gives another waveform than it did.
VERSION = 2

#: Quieter than this share of the loudest sample (-60 dB) is silence.
_SILENCE = 1e-3
#: What a sound is longer than what is used of it while it is resampled, so that the cut is not heard.
_MARGIN_SECONDS = 0.1


class InaudibleError(Exception):
    """A sound of which nothing is left at the encoder's rate."""


def prepare(waveform: Waveform, sample_rate: int, seconds: float) -> Tensor:
    """The waveform of a clip as encoders take it.

    Mixed to mono without offset, silence at both ends cut off, resampled, repeated or cut to length, loudest sample ±1.
    What it takes does not depend on the rate of the clip, and no more than is used of a long one is resampled.

    Args:
        waveform: a sound that is finite and not silent.
        sample_rate: Hz of the result.
        seconds: length of the result.

    Returns:
        float32 `[samples]`.

    Raises:
        InaudibleError: all of the sound lies above what the encoder's rate can hold.
    """
    mono = _mono(torch.from_numpy(waveform.samples))
    sound = _without_silence(mono, shortest=round(SHORTEST_SECONDS * waveform.sample_rate))
    if waveform.sample_rate != sample_rate:
        sound = _resampled(sound, waveform.sample_rate, sample_rate, seconds)
    samples = round(seconds * sample_rate)
    repeated = sound.repeat(-(-samples // len(sound)))[:samples]
    return repeated / repeated.abs().max()


def _mono(channels: Tensor) -> Tensor:
    """Mean of the channels, without offset, loudest sample ±1; the loudest channel where they cancel out.

    Args:
        channels: `[channels, samples]`.
    """
    channels = channels / channels.abs().max()
    channels = channels - channels.mean(dim=1, keepdim=True)
    loudness = channels.abs().amax(dim=1)
    mix = channels.mean(dim=0)
    if mix.abs().max() < _SILENCE * loudness.max():
        mix = channels[loudness.argmax()]
    return mix / mix.abs().max()


def _resampled(sound: Tensor, source: int, target: int, seconds: float) -> Tensor:
    """The beginning of a sound at another rate: `seconds` of it and a little more.

    Args:
        sound: `[samples]` at `source`, loudest sample about ±1.
        source: Hz.
        target: Hz.
        seconds: how much is used.
    """
    used = sound[: math.ceil((seconds + _MARGIN_SECONDS) * source)]
    resampled = torch.from_numpy(soxr.resample(used.numpy(), source, target))
    if resampled.abs().max() < _SILENCE * used.abs().max():
        raise InaudibleError(f"it holds no sound below {target / 2:,.0f} Hz, the most that the encoder hears")
    return resampled


def _without_silence(mono: Tensor, shortest: int) -> Tensor:
    """What lies between the first and the last sample that can be heard, at least `shortest` samples of it."""
    loud = (mono.abs() > _SILENCE * mono.abs().max()).nonzero()
    first, last = int(loud[0]), int(loud[-1]) + 1
    last = min(len(mono), max(last, first + shortest))
    first = max(0, min(first, last - shortest))
    return mono[first:last]
