"""Audio models of Hugging Face as encoders: frozen, their last hidden states averaged over time to a few tokens."""

import hashlib
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from feda2v_cli.errors import FailedError, MissingError, UsageError, closest
from feda2v_cli.threads import threads_of_large_operations, threads_per_operation

#: Raised when the same model gives other embeddings than it did.
VERSION = 1

#: On a CPU a batch saves nothing. On a GPU it does; batches are filled up to this size, since kernels, and with them
#: the rounding, are chosen by the size of a batch, and a clip's embedding must be the same in any company.
_BATCH = {"cpu": 1, "cuda": 8, "mps": 8}

#: Model types whose hidden states are `[2 + frequencies x times]`, frequency by frequency, after two special tokens.
_SPECTROGRAM_TRANSFORMER = "audio-spectrogram-transformer"

#: Weights that only training uses, which some published models leave out.
_TRAINING_ONLY = {"masked_spec_embed"}

#: Files that hold weights, the ones that are preferred first.
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_SMALL_FILES = ("*.json", "*.txt")


class HuggingFaceEncoder:
    """A pre-trained audio model, frozen.

    A model with a window of fixed length (AST: 10.24 s, Whisper: 30 s) hears the clip repeated to fill it, since it
    would otherwise hear mostly padding; only the hidden states of the first `seconds` are kept.

    Args:
        name: short name.
        model: gives hidden states `[clips, times, dim]`.
        extractor: the model's feature extractor.
        weights: hash of the model's files.
        tokens: tokens of an embedding.
        seconds: length of a clip.
        device: where it computes.

    Raises:
        UsageError: the clips are longer than the model's window, or it tells fewer times apart than there are tokens.
        FailedError: the model gives no hidden states over time.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        extractor: Any,
        weights: str,
        tokens: int,
        seconds: float,
        device: torch.device,
    ) -> None:
        self.name = name
        self.sample_rate = int(extractor.sampling_rate)
        self.seconds = seconds
        self._extractor = extractor
        self._model = model.eval().requires_grad_(requires_grad=False).to(device)
        self._device = device
        self._tokens = tokens
        self._window_seconds = _window_seconds(extractor) or seconds
        if seconds > self._window_seconds + 0.01:
            raise UsageError(
                f"embedding.seconds = {seconds:g} is longer than what {name} hears at once, {self._window_seconds:g} s",
                hint=f"--set embedding.seconds={self._window_seconds:g}",
            )
        self.identity: Mapping[str, str | int | float] = {
            "name": name,
            "version": VERSION,
            "model": type(model).__name__,
            "weights": weights,
            "sample_rate": self.sample_rate,
            "seconds": seconds,
            "tokens": tokens,
        }
        self._threads = threads_of_large_operations()
        silence = torch.zeros(1, round(seconds * self.sample_rate))
        times, dim = self._hidden_states(silence).shape[1:]
        if times < tokens:
            raise UsageError(
                f"embedding.tokens = {tokens} — {name} tells only {times} stretches of {seconds:g} s apart",
                hint=f"--set embedding.tokens={times}",
            )
        self.shape = (tokens, int(dim))

    @property
    def description(self) -> str:
        """Which encoder this is and what that means."""
        parameters = sum(parameter.numel() for parameter in self._model.parameters())
        return (
            f"{self.name}: pre-trained {type(self._model).__name__} of Hugging Face, "
            f"{parameters / 1e6:.0f} M parameters, frozen, [{self.shape[0]}, {self.shape[1]}], on {self._device.type}"
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
                pooled = nn.functional.adaptive_avg_pool1d(states.transpose(1, 2), self._tokens)  # [clips, dim, tokens]
                embeddings[start : start + size] = pooled.transpose(1, 2)
        return embeddings

    @torch.inference_mode()
    def _hidden_states(self, waveforms: Tensor) -> Tensor:
        """Last hidden states over the clips' own time: `[clips, samples]` → `[clips, times, dim]`."""
        window = round(self._window_seconds * self.sample_rate)
        repeats = -(-window // waveforms.shape[1])
        sounds = list(waveforms.repeat(1, repeats)[:, :window].cpu().numpy())
        features = self._extractor(sounds, sampling_rate=self.sample_rate, return_tensors="pt")
        inputs = {name: value.to(self._device) for name, value in features.items()}
        states = self._model(**inputs).last_hidden_state
        if states.ndim != 3:
            raise FailedError(
                f"{self.name} ({type(self._model).__name__}) gives hidden states {list(states.shape)} — expected "
                "[clips, times, dim]",
                ["models that are known to work: AST, wav2vec 2.0, HuBERT, WavLM, the encoder of Whisper"],
            )
        states = _over_time(states, self._model.config)
        own = max(1, round(states.shape[1] * self.seconds / self._window_seconds))
        return states[:, :own].float()


def load_huggingface(name_or_path: str, tokens: int, seconds: float, device: torch.device) -> HuggingFaceEncoder:
    """An audio model from a directory, the local store of Hugging Face, or, if it is not there, the hub.

    A directory is read as it is, without the network.

    Args:
        name_or_path: a directory as `save_pretrained` writes it, or `organisation/model`.
        tokens: tokens of an embedding.
        seconds: length of a clip.
        device: where it computes.

    Raises:
        MissingError: transformers is not installed, or the model is not there and cannot be fetched.
        FailedError: its files cannot be read, or it is no audio model.
        UsageError: seconds or tokens do not fit the model.
    """
    try:
        transformers: Any = import_module("transformers")  # types of its own, which differ between versions
    except ImportError as error:
        raise MissingError(
            f"embedding.encoder = {name_or_path} needs transformers, which is not installed",
            hint="pip install 'feda2v[hf]'",
        ) from error
    directory = _find_model(name_or_path)
    transformers.utils.logging.disable_progress_bar()
    try:
        extractor = transformers.AutoFeatureExtractor.from_pretrained(directory, local_files_only=True)
        model, loading = transformers.AutoModel.from_pretrained(
            directory, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:  # transformers raises whatever its parts raise on a broken file
        raise FailedError(f"{directory} cannot be loaded as a model of Hugging Face — {error}") from error
    if not hasattr(extractor, "sampling_rate"):
        raise FailedError(f"{name_or_path} is no audio model — its feature extractor is {type(extractor).__name__}")
    absent = sorted(set(loading["missing_keys"]) - _TRAINING_ONLY)
    if absent:  # they would be drawn at random, anew in every run
        raise FailedError(f"{directory} lacks weights of the model: {', '.join(absent[:3])} ({len(absent)} in all)")
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    name = re.sub(r"[^\w.-]", "_", name_or_path.rstrip("/").rpartition("/")[2])
    return HuggingFaceEncoder(name, model, extractor, _hash_of_model(directory), tokens, seconds, device)


def _window_seconds(extractor: Any) -> float | None:
    """Length of what the model hears at once, or None when it hears clips of any length."""
    if hasattr(extractor, "chunk_length"):  # Whisper
        return float(extractor.chunk_length)
    if hasattr(extractor, "num_mel_bins") and getattr(extractor, "max_length", None):  # AST: frames 10 ms apart
        return float(extractor.max_length) / 100
    return None


def _over_time(states: Tensor, config: Any) -> Tensor:
    """Hidden states in the order of time: `[clips, positions, dim]` → `[clips, times, dim]`.

    A spectrogram transformer has a position for every patch of the spectrogram, all times of the lowest frequency
    first. Pooled as they come they would be averaged over time and kept apart by frequency.
    """
    if config.model_type != _SPECTROGRAM_TRANSFORMER:
        return states
    frequencies = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    patches = states[:, 2:]  # after the class token and the distillation token
    return patches.reshape(len(states), frequencies, -1, states.shape[2]).mean(dim=1)


def _hash_of_model(directory: Path) -> str:
    """A hash of the files that decide what the model makes: weights, architecture, features."""
    digest = hashlib.sha256()
    for path in (*_weight_files(directory), directory / "config.json", directory / "preprocessor_config.json"):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _weight_files(directory: Path) -> list[Path]:
    """The files that hold a model's weights, sorted; safetensors where there are both."""
    return next((files for pattern in _WEIGHTS if (files := sorted(directory.glob(pattern)))), [])


def _find_model(name_or_path: str) -> Path:
    """The directory that holds a model. What is on this machine is used without the network.

    Args:
        name_or_path: a directory, or `organisation/model`.

    Raises:
        MissingError: it is neither here nor on a hub that can be reached, or has no weights.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _checked_complete(path)
    if path.is_absolute() or name_or_path.startswith((".", "~")):
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = closest(path.name, siblings)
        raise MissingError(
            f"embedding.encoder = {name_or_path} — no such directory",
            [f"did you mean {path.parent / near}?"] if near else [],
        )
    return _from_hub(name_or_path)


def _from_hub(name: str) -> Path:
    hub: Any = import_module("huggingface_hub")  # comes with transformers
    if not sys.stderr.isatty():
        hub.utils.disable_progress_bars()
    try:
        stored = Path(hub.snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        pass  # not in the local store
    else:
        if _weight_files(stored) and (stored / "config.json").is_file():
            return stored
    try:
        for pattern in _WEIGHTS:
            fetched = Path(hub.snapshot_download(name, allow_patterns=[*_SMALL_FILES, pattern]))
            if _weight_files(fetched):
                break
    except Exception as error:  # of a network, any exception may come
        raise MissingError(
            f"embedding.encoder = {name} is not on this machine, and cannot be fetched from Hugging Face",
            [f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"],
            hint=f"with a network: hf download {name}; or name a directory that holds the model",
        ) from error
    return _checked_complete(fetched)


def _checked_complete(directory: Path) -> Path:
    missing = [] if (directory / "config.json").is_file() else ["config.json"]
    missing += [] if (directory / "preprocessor_config.json").is_file() else ["preprocessor_config.json"]
    missing += [] if _weight_files(directory) else [" or ".join(_WEIGHTS)]
    if missing:
        raise MissingError(
            f"{directory} holds no complete audio model — it lacks {', '.join(missing)}",
            hint="expected a directory as save_pretrained writes it, of the model and of its feature extractor",
        )
    return directory
