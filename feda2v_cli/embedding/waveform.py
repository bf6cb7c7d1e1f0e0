"""From a decoded clip to the waveform that encoders take: one channel, one rate, one length, full level.

Padding a short sound with silence makes every statistic over time bimodal: on real recordings a linear probe falls from
0.86 to 0.73. So silence at the ends is cut off, and what remains is repeated.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torchaudio.transforms import Resample

from feda2v_cli.data.clip import SHORTEST_SECONDS, Waveform

#: Raised when the same sound gives another waveform than it did.
VERSION = 1

#: Quieter than this share of the loudest sample (-60 dB) is silence.
_SILENCE = 1e-3


def prepare(waveform: Waveform, sample_rate: int, seconds: float) -> Tensor:
    """The waveform of a clip as encoders take it.

    Mixed to mono without offset, resampled, silence at both ends cut off, repeated or cut to length, loudest sample ±1.

    Args:
        waveform: a sound that is finite and not silent.
        sample_rate: Hz of the result.
        seconds: length of the result.

    Returns:
        float32 `[samples]`.
    """
    mono = _mono(torch.from_numpy(waveform.samples))
    if waveform.sample_rate != sample_rate:
        mono = _resampler(waveform.sample_rate, sample_rate)(mono)
    sound = _without_silence(mono, shortest=round(SHORTEST_SECONDS * sample_rate))
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


@lru_cache(maxsize=32)
def _resampler(source: int, target: int) -> Resample:
    return Resample(source, target)


def _without_silence(mono: Tensor, shortest: int) -> Tensor:
    """What lies between the first and the last sample that can be heard, at least `shortest` samples of it."""
    loud = (mono.abs() > _SILENCE * mono.abs().max()).nonzero()
    first, last = int(loud[0]), int(loud[-1]) + 1
    last = min(len(mono), max(last, first + shortest))
    first = max(0, min(first, last - shortest))
    return mono[first:last]
