import time
from collections import Counter

import numpy as np
import pytest
import torch

from feda2v_cli.data.builtin import BuiltinClip, builtin_clips
from feda2v_cli.data.sounds import SOUNDS
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.encoder import make_encoder
from feda2v_cli.profile.load import load_profile
from feda2v_cli.quality.probe import Probe


def a_clip(class_name: str, take: int = 0) -> BuiltinClip:
    return BuiltinClip("clip.wav", class_name, 1, take=take)


def centre_of_spectrum(clip: BuiltinClip) -> float:
    power = np.abs(np.fft.rfft(clip.read().samples[0])) ** 2
    return float((power * np.linspace(0, 8_000, len(power))).sum() / power.sum())


def median_centre(class_name: str) -> float:
    return float(np.median([centre_of_spectrum(a_clip(class_name, take)) for take in range(9)]))


def test_classes_are_those_of_the_shipped_profile() -> None:
    assert set(SOUNDS) == set(load_profile("unified").profile.classes)


def test_every_class_has_eight_clips_in_each_of_five_folds() -> None:
    counts = Counter((clip.class_name, clip.fold) for clip in builtin_clips())

    assert len(counts) == 15 * 5
    assert set(counts.values()) == {8}


def test_names_are_unique() -> None:
    assert len({clip.name for clip in builtin_clips()}) == 600


@pytest.mark.parametrize("class_name", SOUNDS)
def test_a_clip_is_five_finite_seconds_within_full_level(class_name: str) -> None:
    waveform = a_clip(class_name, take=7).read()

    assert waveform.samples.dtype == np.float32
    assert waveform.samples.shape == (1, 5 * waveform.sample_rate)
    assert 0.01 < np.abs(waveform.samples).max() < 1


@pytest.mark.parametrize("class_name", SOUNDS)
def test_the_same_take_is_the_same_sound_and_another_take_another(class_name: str) -> None:
    first, again, other = (a_clip(class_name, take).read().samples for take in (0, 0, 1))

    np.testing.assert_array_equal(first, again)
    assert np.abs(np.corrcoef(first[0], other[0])[0, 1]) < 0.5


def test_crickets_and_birds_are_higher_than_cows_and_engines() -> None:
    assert min(median_centre("crickets"), median_centre("chirping_birds")) > 2_000
    assert max(median_centre("cow"), median_centre("engine")) < 1_500


def test_dogs_bark_in_bursts_and_rain_falls_steadily() -> None:
    def unevenness(class_name: str) -> float:
        levels = [np.square(a_clip(class_name, take).read().samples.reshape(100, -1)).mean(axis=1) for take in range(9)]
        return float(np.median([level.std() / level.mean() for level in levels]))

    assert unevenness("dog") > 4 * unevenness("rain")


def test_the_classes_are_about_as_hard_to_tell_apart_as_those_of_recordings() -> None:
    embedding = load_profile("unified").profile.embedding
    embedded = embed(builtin_clips(), make_encoder(embedding, torch.device("cpu")), embedding.cache.expanduser())
    labels = torch.tensor([list(SOUNDS).index(clip.class_name) for clip in embedded.clips])
    folds = torch.tensor([clip.fold for clip in embedded.clips])
    values = embedded.values.flatten(1)

    def accuracy(held_out: int) -> float:
        trains = folds != held_out
        standardised = (values - values[trains].mean(0)) / values[trains].std(0)
        probe = Probe.trained(standardised[trains], labels[trains], len(SOUNDS))
        return float(probe.hits(standardised[~trains], labels[~trains]).float().mean())

    assert 0.77 < np.mean([accuracy(fold) for fold in range(1, 6)]) < 0.87  # 0.82


def test_a_clip_is_made_in_a_few_milliseconds() -> None:
    clips = [a_clip(class_name) for class_name in SOUNDS]
    clips[0].read()

    start = time.thread_time()
    for clip in clips:
        clip.read()

    assert (time.thread_time() - start) / len(clips) < 0.05  # about 0.01 on an idle machine
