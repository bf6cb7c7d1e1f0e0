from resource import RUSAGE_SELF, getrusage
from time import process_time

import numpy as np
import pytest
import torch
from torch import Tensor

from feda2v_cli.data.clip import Waveform
from feda2v_cli.embedding.waveform import InaudibleError, prepare


def a_tone(sample_rate: int, seconds: float = 1.0, frequency: float = 440) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def prepared(*channels: np.ndarray, sample_rate: int = 16_000, seconds: float = 2.0) -> Tensor:
    return prepare(Waveform(np.stack(channels).astype(np.float32), sample_rate), 16_000, seconds)


def pitch(waveform: Tensor) -> float:
    return float(torch.fft.rfft(waveform).abs().argmax()) / (len(waveform) / 16_000)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_becomes_the_encoders_rate_at_the_same_pitch(sample_rate: int) -> None:
    waveform = prepared(a_tone(sample_rate), sample_rate=sample_rate)

    assert waveform.shape == (32_000,)
    assert waveform.dtype == torch.float32
    assert pitch(waveform) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("sample_rate", [1_000, 1_009, 8_001, 11_127, 44_101, 191_999, 999_983, 9_999_991])
def test_an_odd_rate_takes_no_more_time_and_memory_than_another(sample_rate: int) -> None:
    time = np.arange(5 * sample_rate, dtype=np.float64) / sample_rate
    sound = Waveform((0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[np.newaxis], sample_rate)
    del time

    started, held = process_time(), getrusage(RUSAGE_SELF).ru_maxrss
    waveform = prepare(sound, 16_000, 5.0)

    assert pitch(waveform) == pytest.approx(440, abs=1)
    assert process_time() - started < 10
    assert getrusage(RUSAGE_SELF).ru_maxrss - held < 2_000_000  # kB: the sound itself has 0.2 GB at the highest rate


@pytest.mark.parametrize("sample_rate", [11_127, 44_100, 44_101, 48_000])
def test_a_tone_stays_itself_at_another_rate(sample_rate: int) -> None:
    waveform = prepared(a_tone(sample_rate, 3.0), sample_rate=sample_rate).numpy().astype(np.float64)

    time = np.arange(len(waveform)) / 16_000
    basis = np.stack([np.sin(2 * np.pi * 440 * time), np.cos(2 * np.pi * 440 * time)], axis=1)[1_000:-1_000]
    coefficients = np.linalg.lstsq(basis, waveform[1_000:-1_000], rcond=None)[0]
    assert np.abs(basis @ coefficients - waveform[1_000:-1_000]).max() < 1e-4


def test_what_the_new_rate_cannot_hold_does_not_come_back_as_another_pitch() -> None:
    low, high = a_tone(48_000), a_tone(48_000, frequency=15_000)

    spectrum = torch.fft.rfft(prepared(low + high, sample_rate=48_000)).abs()

    assert spectrum[2_000] < 1e-3 * spectrum[880]  # 15 kHz would come back as 1 kHz


def test_only_the_beginning_of_a_long_sound_is_used() -> None:
    long = a_tone(44_100, 30.0)

    torch.testing.assert_close(
        prepared(long, sample_rate=44_100)[:31_000],
        prepared(long[: 3 * 44_100], sample_rate=44_100)[:31_000],
        atol=1e-5,
        rtol=0,
    )


def test_a_sound_above_what_the_encoder_hears_is_told_so() -> None:
    whistle = a_tone(96_000, 0.5, frequency=30_000) * np.hanning(48_000)

    with pytest.raises(InaudibleError, match="no sound below 8,000 Hz"):
        prepared(whistle, sample_rate=96_000)


@pytest.mark.parametrize("seconds", [0.03, 0.5, 1.999, 2.0, 7.5])
def test_every_length_becomes_the_same_length(seconds: float) -> None:
    assert prepared(a_tone(16_000, seconds)).shape == (32_000,)


def test_a_short_sound_is_repeated_not_padded() -> None:
    waveform = prepared(a_tone(16_000, 0.5))

    levels = waveform.reshape(20, -1).square().mean(dim=1)
    assert levels.min() > 0.9 * levels.max()


def test_silence_at_both_ends_is_cut_off() -> None:
    silence = np.zeros(16_000)

    padded = prepared(np.concatenate((silence, a_tone(16_000), silence)))

    torch.testing.assert_close(padded[:15_000], prepared(a_tone(16_000)[1:])[:15_000], atol=1e-3, rtol=0)


def test_silence_within_a_sound_stays() -> None:
    bark, pause = a_tone(16_000, 0.5), np.zeros(8_000)

    waveform = prepared(np.concatenate((bark, pause, bark)), seconds=1.5)

    assert waveform[9_000:15_000].abs().max() < 1e-4


@pytest.mark.parametrize("gain", [1e-38, 1e-6, 1.0, 1e6, 1e38])
def test_the_loudest_sample_is_one_whatever_the_level(gain: float) -> None:
    waveform = prepared(a_tone(16_000) * gain)

    assert waveform.isfinite().all()
    assert waveform.abs().max() == 1


def test_channels_are_mixed() -> None:
    waveform = prepared(a_tone(16_000, frequency=440), 0.5 * a_tone(16_000, frequency=1_000))

    spectrum = torch.fft.rfft(waveform).abs()
    assert spectrum[2_000] == pytest.approx(0.5 * float(spectrum[880]), rel=0.1)


def test_channels_that_cancel_out_do_not_become_silence() -> None:
    assert pitch(prepared(a_tone(16_000), -a_tone(16_000))) == pytest.approx(440, abs=1)


def test_an_offset_does_not_matter() -> None:
    torch.testing.assert_close(prepared(a_tone(16_000) + 0.5), prepared(a_tone(16_000)), atol=1e-3, rtol=0)


def test_a_single_click_keeps_a_window_around_it() -> None:
    click = np.zeros(16_000)
    click[8_000] = 1

    waveform = prepared(click)

    assert waveform.isfinite().all()
    assert 0 < (waveform > 0.5).sum() <= 32_000 / 400 + 1
