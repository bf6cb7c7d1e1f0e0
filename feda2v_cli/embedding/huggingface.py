"""Audio models of Hugging Face as encoders: frozen; their last hidden states as they are, or averaged over time."""

from typing import Any

import torch
from torch import Tensor, nn

from feda2v_cli.data.clip import SHORTEST_SECONDS
from feda2v_cli.embedding.audio_model import digest_of_model, find_audio_model, short_name
from feda2v_cli.embedding.hub import transformers_for
from feda2v_cli.embedding.identity import ALL, CLS, HUGGING_FACE_VERSION, Identity, no_class_token
from feda2v_cli.errors import FailedError, Feda2vError, UsageError, first_line
from feda2v_cli.profile.schema import Tokens
from feda2v_cli.threads import threads_of_large_operations, threads_per_operation

#: What a message names when a model is of no use here.
_KNOWN_MODELS = (
    "models that are known to work: AST, wav2vec 2.0, HuBERT, WavLM, the encoder of Whisper, CLAP's audio tower"
)

#: On a CPU a batch saves nothing. On a GPU it does; batches are filled up to this size, since kernels, and with them
#: the rounding, are chosen by the size of a batch, and a clip's embedding must be the same in any company.
_BATCH = {"cpu": 1, "cuda": 8, "mps": 8}

#: Model types whose hidden states are `[2 + frequencies x times]`, frequency by frequency, after two special tokens.
_SPECTROGRAM_TRANSFORMER = "audio-spectrogram-transformer"
_CLAP = "clap"
_CLAP_AUDIO = "clap_audio_model"

#: Weights that only training uses, which some published models leave out.
_TRAINING_ONLY = {"masked_spec_embed"}


class HuggingFaceEncoder:
    """A pre-trained audio model, frozen.

    A model with a window of fixed length (AST: 10.24 s, Whisper: 30 s, CLAP: 10 s) hears the clip repeated to fill it,
    since it would otherwise hear mostly padding. An embedding is one of three:

    tokens = 4     the hidden states of the first `seconds`, in the order of time, averaged to so many
    tokens = cls   the class token, which a spectrogram transformer puts before its patches
    tokens = all   every hidden state of the window, in the model's own order: 1,214 of AST

    Args:
        source: how the profile names it.
        model: gives hidden states `[clips, times, dim]`.
        extractor: the model's feature extractor.
        weights: hash of the model's files.
        tokens: tokens of an embedding.
        seconds: length of a clip.
        device: where it computes.
        dtype: numbers that it computes with.

    Raises:
        UsageError: the clips are longer than the model's window, it tells fewer times apart than there are tokens, or
            it has no class token.
        FailedError: the model gives no finite hidden states over time.
    """

    def __init__(
        self,
        source: str,
        model: nn.Module,
        extractor: Any,
        weights: str,
        tokens: Tokens,
        seconds: float,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.name = name = short_name(source)
        self.source = source
        self.sample_rate = int(extractor.sampling_rate)
        self.seconds = seconds
        self._extractor = extractor
        self._model = model.eval().requires_grad_(requires_grad=False).to(device, dtype)
        self._dtype = dtype
        self.precision = str(dtype).removeprefix("torch.")
        self._device = device
        self._tokens = tokens
        if seconds < SHORTEST_SECONDS:
            raise UsageError(
                f"embedding.seconds = {seconds:g} is too short — expected at least {SHORTEST_SECONDS:g}",
                hint="--set embedding.seconds=5.0",
            )
        self._window_seconds = _window_seconds(extractor) or seconds
        if seconds > self._window_seconds + 0.01:
            raise UsageError(
                f"embedding.seconds = {seconds:g} is longer than what {name} hears at once, {self._window_seconds:g} s",
                hint=f"--set embedding.seconds={self._window_seconds:g}",
            )
        self.identity: Identity = {
            "name": name,
            "version": HUGGING_FACE_VERSION,
            "model": type(model).__name__,
            "weights": weights,
            "sample_rate": self.sample_rate,
            "seconds": seconds,
            "tokens": tokens,
        }
        if tokens == CLS and model.config.model_type != _SPECTROGRAM_TRANSFORMER:  # type: ignore[union-attr]
            raise no_class_token(f"{name} ({type(model).__name__})")
        self._threads = threads_of_large_operations()
        given, dim = self._try_out().shape[1:]
        if isinstance(tokens, int) and given < tokens:
            raise UsageError(
                f"embedding.tokens = {tokens} — {name} tells only {given} stretches of {seconds:g} s apart",
                ["all of its hidden states, patches of each time apart: --set embedding.tokens=all"],
                hint=f"--set embedding.tokens={given}",
            )
        self.shape = (tokens if isinstance(tokens, int) else int(given), int(dim))

    @property
    def description(self) -> str:
        """Which encoder this is and what that means."""
        parameters = sum(parameter.numel() for parameter in self._model.parameters())
        return (
            f"{self.name}: pre-trained {type(self._model).__name__} of Hugging Face, "
            f"{parameters / 1e6:.0f} M parameters, frozen, [{self.shape[0]}, {self.shape[1]}], on {self._device.type}"
            + ("" if self.precision == "float32" else f" in {self.precision}, which is quicker there")
        )

    def with_tokens(self, tokens: Tokens) -> "HuggingFaceEncoder":
        """The same model, whose hidden states become other tokens."""
        weights = str(self.identity["weights"])
        return HuggingFaceEncoder(
            self.source, self._model, self._extractor, weights, tokens, self.seconds, self._device, self._dtype
        )

    @torch.inference_mode()
    def encode(self, waveforms: Tensor) -> Tensor:
        """Embeddings of sounds.

        Args:
            waveforms: float32 `[clips, samples]`.

        Returns:
            float32 `[clips, tokens, dim]`, on the CPU.
        """
        size = _BATCH.get(self._device.type, 1)
        embeddings = torch.empty(len(waveforms), *self.shape)
        with threads_per_operation(self._threads):
            for start in range(0, len(waveforms), size):
                batch = waveforms[start : start + size]
                filling = batch[:1].expand(size - len(batch), -1)
                states = self._hidden_states(torch.cat((batch, filling)))[: len(batch)]
                if isinstance(self._tokens, int):
                    # [clips, times, dim] → [clips, tokens, dim]
                    states = nn.functional.adaptive_avg_pool1d(states.transpose(1, 2), self._tokens).transpose(1, 2)
                embeddings[start : start + size] = states
        return embeddings

    def _try_out(self) -> Tensor:
        """Hidden states of a sound, `[1, positions, dim]`. A model that gives none fails as its parts do."""
        noise = torch.rand(1, round(self.seconds * self.sample_rate), generator=torch.Generator().manual_seed(0)) - 0.5
        try:
            states = self._hidden_states(noise)
        except Feda2vError:
            raise
        except Exception as error:
            raise self._unusable(f"it hears nothing in {self.seconds:g} s of sound: {first_line(error)}") from error
        if not states.isfinite().all():
            raise self._unusable("its hidden states of a sound are not finite numbers")
        return states

    @torch.inference_mode()
    def _hidden_states(self, waveforms: Tensor) -> Tensor:
        """Last hidden states: `[clips, samples]` → `[clips, positions, dim]`.

        The class token; all; or, where they are averaged, those of the clips' own time, in its order.
        """
        window = round(self._window_seconds * self.sample_rate)
        repeats = -(-window // waveforms.shape[1])
        sounds = list(waveforms.repeat(1, repeats)[:, :window].cpu().numpy())
        features = self._extractor(sounds, sampling_rate=self.sample_rate, return_tensors="pt")
        inputs = {
            name: value.to(self._device, self._dtype if value.is_floating_point() else None)
            for name, value in features.items()
        }
        if "is_longer" in inputs:
            # CLAP calls one sound of a batch, drawn at random, longer than its window; none is.
            inputs["is_longer"] = torch.zeros_like(inputs["is_longer"])
        states = getattr(self._model(**inputs), "last_hidden_state", None)
        if states is None:
            raise self._unusable("it gives no hidden states")
        averaged = isinstance(self._tokens, int)
        states = _over_time(states, self._model.config) if averaged else _as_given(states, self._model.config)
        if states.ndim != 3 or len(states) != len(waveforms):
            raise self._unusable(f"its hidden states are {list(states.shape)}, expected [clips, times, dim]")
        if self._tokens == CLS:
            return states[:, :1].float()
        if self._tokens == ALL:
            return states.float()
        own = max(1, round(states.shape[1] * self.seconds / self._window_seconds))
        return states[:, :own].float()

    def _unusable(self, reason: str) -> FailedError:
        kind = type(self._model).__name__
        return FailedError(f"{self.source} ({kind}) cannot be used as an encoder — {reason}", [_KNOWN_MODELS])


def load_huggingface(
    name_or_path: str, tokens: Tokens, seconds: float, device: torch.device, dtype: torch.dtype = torch.float32
) -> HuggingFaceEncoder:
    """An audio model from a directory, the local store of Hugging Face, or, if it is not there, the hub.

    A directory is read as it is, without the network.

    Args:
        name_or_path: a directory as `save_pretrained` writes it, or `organisation/model`.
        tokens: tokens of an embedding.
        seconds: length of a clip.
        device: where it computes.
        dtype: numbers that it computes with.

    Raises:
        MissingError: transformers is not installed, or the model is not there and cannot be fetched.
        FailedError: its files cannot be read, or it is no audio model.
        UsageError: seconds or tokens do not fit the model.
    """
    # It reports nothing: what matters is checked below.
    transformers = transformers_for(f"embedding.encoder = {name_or_path}")
    directory = find_audio_model(name_or_path, fetch=True)
    try:
        extractor = transformers.AutoFeatureExtractor.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False
        )
        model, loading = transformers.AutoModel.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # transformers raises whatever its parts raise on a broken file
        raise FailedError(
            f"{directory} cannot be loaded as a model of Hugging Face — {first_line(error)}", [_KNOWN_MODELS]
        ) from error
    if not hasattr(extractor, "sampling_rate"):
        raise FailedError(
            f"{name_or_path} is no audio model — its feature extractor is {type(extractor).__name__}", [_KNOWN_MODELS]
        )
    misshapen = {name for name, *_ in loading["mismatched_keys"]}
    absent = sorted({*loading["missing_keys"], *misshapen} - _TRAINING_ONLY)
    if absent:  # they would be drawn at random, anew in every run
        raise FailedError(f"{directory} lacks weights of the model: {', '.join(absent[:3])} ({len(absent)} in all)")
    for name, weights in model.state_dict().items():
        if not weights.isfinite().all():
            raise FailedError(f"{directory} holds weights that are not finite numbers: {name}", [_KNOWN_MODELS])
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    elif model.config.model_type == _CLAP:
        model = model.audio_model
    return HuggingFaceEncoder(
        name_or_path, model, extractor, digest_of_model(directory), tokens, seconds, device, dtype
    )


def _window_seconds(extractor: Any) -> float | None:
    """Length of what the model hears at once, or None when it hears clips of any length."""
    for name in ("n_samples", "nb_max_samples"):  # Whisper, CLAP
        if hasattr(extractor, name):
            return float(getattr(extractor, name)) / float(extractor.sampling_rate)
    if hasattr(extractor, "num_mel_bins") and getattr(extractor, "max_length", None):  # AST: frames 10 ms apart
        return float(extractor.max_length) / 100
    return None


def _as_given(states: Tensor, config: Any) -> Tensor:
    """Hidden states in the model's order; CLAP's `[clips, dim, frequencies, times]` as `[clips, positions, dim]`."""
    if config.model_type == _CLAP_AUDIO and states.ndim == 4:
        return states.flatten(2).transpose(1, 2)
    return states


def _over_time(states: Tensor, config: Any) -> Tensor:
    """Hidden states in the order of time: `[clips, positions, dim]` → `[clips, times, dim]`.

    A spectrogram transformer has a position for every patch of the spectrogram, all times of the lowest frequency
    first. Pooled as they come they would be averaged over time and kept apart by frequency. CLAP's audio tower has
    `[clips, dim, frequencies, times]`.
    """
    if config.model_type == _CLAP_AUDIO and states.ndim == 4:
        return states.mean(dim=2).transpose(1, 2)
    if config.model_type != _SPECTROGRAM_TRANSFORMER:
        return states
    frequencies = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    patches = states[:, 2:]  # after the class token and the distillation token
    return patches.reshape(len(states), frequencies, -1, states.shape[2]).mean(dim=1)
