"""The built-in encoder: statistics of mel bands over time. No weights, no download."""

import math
from functools import cached_property

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from feda2v_cli.embedding.identity import ALL, CLS, MELSTATS, MELSTATS_VERSION, no_class_token
from feda2v_cli.errors import UsageError
from feda2v_cli.profile.schema import Tokens
from feda2v_cli.threads import threads_per_operation

BANDS = 128
STATISTICS = ("mean", "standard deviation", "maximum", "10 % quantile", "mean change", "standard deviation of change")

#: 64 ms: frequencies 16 Hz apart, so that the narrowest of 128 bands still holds one.
_WINDOW_SECONDS = 0.064
_HOP_SECONDS = 0.020
#: Added before the logarithm. Smaller, and the noise below the sound dominates every statistic.
_FLOOR = 1e-4


class MelStats:
    """Statistics over time of 128 mel bands, for each of `tokens` equal stretches of a clip.

    Mel bands as in Slaney's Auditory Toolbox (1998), amplitudes in logarithm, `log(x + 1e-4)`.

    Args:
        tokens: stretches of a clip; all: as many as hold two windows each.
        sample_rate: Hz.
        seconds: length of a clip.
        device: where it computes.

    Raises:
        UsageError: a stretch would be too short to hold two windows, or the class token is asked for.
    """

    name = source = MELSTATS
    precision = "float32"

    def __init__(self, tokens: Tokens, sample_rate: int, seconds: float, device: torch.device) -> None:
        if tokens == CLS:
            raise no_class_token(self.name)
        self.sample_rate = sample_rate
        self.seconds = seconds
        self._window = round(_WINDOW_SECONDS * sample_rate)
        self._hop = round(_HOP_SECONDS * sample_rate)
        self._device = device
        self._frames = (round(seconds * sample_rate) - self._window) // self._hop + 1
        self._tokens = tokens
        stretches = max(1, self._frames // 2) if tokens == ALL else int(tokens)
        self.shape = (stretches, BANDS * len(STATISTICS))
        if self._frames < 2 * stretches:
            fewest = (2 * stretches - 1) * _HOP_SECONDS + _WINDOW_SECONDS
            raise UsageError(
                f"embedding.seconds = {seconds:g} is too short for embedding.tokens = {tokens}",
                [f"{self.name} needs at least {fewest:.3f} seconds for {stretches} tokens"],
                hint=f"--set embedding.seconds={math.ceil(10 * fewest) / 10}",
            )

    @cached_property
    def identity(self) -> dict[str, str | int | float]:
        """Name, version, sample rate, seconds, tokens."""
        return {
            "name": self.name,
            "version": MELSTATS_VERSION,
            "sample_rate": self.sample_rate,
            "seconds": self.seconds,
            "tokens": self._tokens,
        }

    @property
    def description(self) -> str:
        """Which encoder this is and what that means."""
        return (
            f"melstats: statistics of {BANDS} mel bands, [{self.shape[0]}, {self.shape[1]}]; built in, no pre-trained "
            "weights, so it hears loudness and timbre over time but knows no sounds"
        )

    def with_tokens(self, tokens: Tokens) -> "MelStats":
        """The same statistics of other stretches."""
        return MelStats(tokens, self.sample_rate, self.seconds, self._device)

    @torch.inference_mode()
    def encode(self, waveforms: Tensor) -> Tensor:
        """Embeddings of sounds.

        One clip at a time: a batched matrix product rounds differently with the number of clips, and a clip's embedding
        must be the same in any company.

        Args:
            waveforms: float32 `[clips, samples]`.

        Returns:
            float32 `[clips, tokens, 768]`, on the CPU.
        """
        embeddings = torch.empty(len(waveforms), *self.shape)
        with threads_per_operation(1):
            for embedding, waveform in zip(embeddings, waveforms, strict=True):
                embedding.copy_(self._statistics(self._log_mel(waveform.to(self._device))))
        return embeddings

    def _log_mel(self, waveform: Tensor) -> Tensor:
        """Logarithm of the mel bands' amplitudes: `[samples]` → `[frames, bands]`."""
        spectrum = torch.stft(
            waveform,
            self._window,
            self._hop,
            window=self._hann,
            center=False,
            return_complex=True,
        )
        power = spectrum.abs().square().T  # [frames, frequencies]
        return (power @ self._bands + _FLOOR).log()

    def _statistics(self, log_mel: Tensor) -> Tensor:
        """Statistics of every band over each stretch of time: `[frames, bands]` → `[tokens, 6 x bands]`."""
        tokens = self.shape[0]
        frames = self._frames // tokens
        stretches = log_mel[: tokens * frames].reshape(tokens, frames, BANDS)  # [tokens, frames, bands]
        change = stretches.diff(dim=1).abs()
        return torch.cat(
            (
                stretches.mean(dim=1),
                stretches.std(dim=1, correction=0),
                stretches.amax(dim=1),
                stretches.quantile(0.1, dim=1),
                change.mean(dim=1),
                change.std(dim=1, correction=0),
            ),
            dim=1,
        )

    @cached_property
    def _hann(self) -> Tensor:
        return torch.hann_window(self._window, device=self._device)

    @cached_property
    def _bands(self) -> Tensor:
        """The mel filter bank: `[frequencies, bands]`."""
        filters: Tensor = melscale_fbanks(
            n_freqs=self._window // 2 + 1,
            f_min=0.0,
            f_max=self.sample_rate / 2,
            n_mels=BANDS,
            sample_rate=self.sample_rate,
            norm=None,
            mel_scale="slaney",
        )
        return filters.to(self._device)
