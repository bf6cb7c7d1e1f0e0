import pytest
import torch

from feda2v_cli.embedding.melstats import BANDS, MelStats
from feda2v_cli.errors import UsageError

CPU = torch.device("cpu")


def noise(clips: int, samples: int) -> torch.Tensor:
    return torch.rand(clips, samples, generator=torch.Generator().manual_seed(0)) * 2 - 1


def a_tone(frequency: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * frequency * torch.arange(80_000) / 16_000)


def statistic(encoder: MelStats, waveform: torch.Tensor, index: int) -> torch.Tensor:
    """One statistic of each token: `[tokens, bands]`."""
    return encoder.encode(waveform[None])[0, :, index * BANDS : (index + 1) * BANDS]


@pytest.mark.parametrize("tokens", [1, 4, 10])
def test_an_embedding_has_768_dimensions_a_token(tokens: int) -> None:
    encoder = MelStats(tokens, 16_000, 5.0, CPU)

    embeddings = encoder.encode(noise(3, 80_000))

    assert encoder.shape == (tokens, 768)
    assert embeddings.shape == (3, tokens, 768)
    assert embeddings.dtype == torch.float32
    assert embeddings.isfinite().all()


def test_a_clip_has_the_same_bits_alone_and_in_any_batch(encoder: MelStats) -> None:
    waveforms = noise(7, 80_000)

    together = encoder.encode(waveforms)

    for index in range(7):
        assert torch.equal(together[index], encoder.encode(waveforms[index : index + 1])[0])
    assert torch.equal(together[2:5], encoder.encode(waveforms[2:5]))


def test_a_higher_tone_is_in_a_higher_band(encoder: MelStats) -> None:
    loudest = [int(statistic(encoder, a_tone(frequency), 0)[0].argmax()) for frequency in (100, 400, 1_600, 6_400)]

    assert loudest == sorted(set(loudest))


def test_a_steady_tone_changes_less_than_noise(encoder: MelStats) -> None:
    mean_change = 4

    assert (
        statistic(encoder, a_tone(1_000), mean_change).mean()
        < statistic(encoder, noise(1, 80_000)[0], mean_change).mean()
    )


def test_a_token_hears_its_own_stretch_of_time(encoder: MelStats) -> None:
    first_half = noise(1, 80_000)[0]
    first_half[40_000:] = 0

    mean = statistic(encoder, first_half, 0).mean(dim=1)

    assert min(mean[0], mean[1]) > max(mean[2], mean[3]) + 3


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 48_000, 192_000])
def test_no_band_is_empty_at_any_sample_rate(sample_rate: int) -> None:
    encoder = MelStats(1, sample_rate, 1.0, CPU)

    spread = statistic(encoder, noise(1, sample_rate)[0], 1)

    assert (spread > 0.01).all()


def test_a_clip_too_short_for_its_tokens_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"embedding.seconds = 0.2 is too short for embedding.tokens = 8"):
        MelStats(8, 16_000, 0.2, CPU)


def test_the_hint_for_a_clip_too_short_is_long_enough() -> None:
    with pytest.raises(UsageError) as caught:
        MelStats(60, 16_000, 1.0, CPU)

    MelStats(60, 16_000, float(str(caught.value.hint).rpartition("=")[2]), CPU)


def test_all_tokens_are_as_many_as_hold_two_windows_each() -> None:
    encoder = MelStats("all", 16_000, 1.0, CPU)

    assert encoder.shape == (23, 768)
    assert torch.equal(encoder.encode(noise(1, 16_000)), MelStats(23, 16_000, 1.0, CPU).encode(noise(1, 16_000)))
    assert encoder.identity["tokens"] == "all"


def test_there_is_no_class_token() -> None:
    with pytest.raises(UsageError, match="melstats has no class token"):
        MelStats("cls", 16_000, 5.0, CPU)
