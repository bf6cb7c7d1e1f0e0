"""Prompts to points of target spaces, by the text encoders of a diffusion pipeline or by one of sentences."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.embedding.diffusion import PipelineDirectory
from feda2v_cli.embedding.hub import Fetching, find_model, marked_by, transformers_for
from feda2v_cli.errors import FailedError, MissingError, UsageError, first_line
from feda2v_cli.threads import threads_per_operation

#: Raised when the same model gives other embeddings than it did.
VERSION = "1"
_JOINT = "clip"


class TextEncoder(Protocol):
    """Turns prompts into points of one or two target spaces.

    Attributes:
        identity: everything that changes what it makes, but for the prompt.
        description: for the user.
    """

    @property
    def identity(self) -> Mapping[str, str]: ...  # noqa: D102 - described above
    @property
    def description(self) -> str: ...  # noqa: D102

    def encode(self, prompts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Points by space, float32 [*shape] on the CPU, of one prompt after the other.

        Models are loaded when the first is asked for, and gone when the last has been given.
        """
        ...


class PipelineText:
    """The text encoders inside a diffusion pipeline, which make what its denoiser takes.

    Stable Diffusion 1.x: the last hidden states of CLIP, [77, 768], are the space clip. FLUX: CLIP's pooled output at
    the first end token, [768], is the space clip, and the last hidden states of T5, [tokens, 4096], are the space t5.

    Args:
        pipeline: the pipeline.
        t5_tokens: to which T5's prompts are filled up.
        device: where it computes.

    Raises:
        MissingError: transformers is not there, or the pipeline was saved without its text encoders.
    """

    def __init__(self, pipeline: PipelineDirectory, t5_tokens: int, device: torch.device) -> None:
        self._transformers = transformers_for(f"images.pipeline = {pipeline.name}")
        self._pipeline = pipeline
        self._device = device
        self._t5_tokens = t5_tokens
        parts = {"clip": ("text_encoder", "tokenizer")}
        if pipeline.kind == "flux":
            parts["t5"] = ("text_encoder_2", "tokenizer_2")
        absent = [part for pair in parts.values() for part in pair if not pipeline.has(part)]
        if absent:
            raise MissingError(
                f"images.pipeline = {pipeline.name} was saved without {', '.join(absent)}",
                ["targets are made by the pipeline's own text encoders"],
                hint="name a whole pipeline, or a dictionary file made with one: --set adapter.targets=targets.pt",
            )
        self._parts = parts
        self.identity: Mapping[str, str] = {
            "name": pipeline.short_name,
            "kind": f"pipeline {pipeline.kind}",
            "version": VERSION,
            "weights": _hash_of([pipeline.path / part for pair in parts.values() for part in pair]),
            **({"t5_tokens": str(t5_tokens)} if pipeline.kind == "flux" else {}),
        }

    @property
    def description(self) -> str:
        """Which encoders these are."""
        return f"targets: the text encoders of {self._pipeline.name} ({self._pipeline.kind})"

    def encode(self, prompts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Points by space of each prompt. Only one encoder is in memory at a time."""
        made: list[dict[str, Tensor]] = [{} for _ in prompts]
        for space in self._parts:
            for point, values in zip(made, self._encode_space(space, prompts), strict=True):
                point[space] = values
        yield from made

    def _encode_space(self, space: str, prompts: Sequence[str]) -> list[Tensor]:
        part, tokenizer_part = self._parts[space]
        tokenizer = _loaded(self._transformers.AutoTokenizer, self._pipeline.path / tokenizer_part)
        kind = self._transformers.CLIPTextModel if space == "clip" else self._transformers.T5EncoderModel
        model = _model(kind, self._pipeline.path / part, self._device)
        length = self._t5_tokens if space == "t5" else int(model.config.max_position_embeddings)
        values = []
        with torch.inference_mode():
            for prompt in prompts:
                tokens = tokenizer(prompt, padding="max_length", max_length=length, return_tensors="pt").input_ids
                if tokens.shape[1] > length:
                    raise _too_long(prompt, tokens.shape[1], space, length)
                output = model(tokens.to(self._device))
                pooled = self._pipeline.kind == "flux" and space == "clip"
                value = output.pooler_output if pooled else output.last_hidden_state
                values.append(value[0].float().cpu().clone())
        return values


class SentenceText:
    """A text model of Hugging Face as an encoder of sentences: one space, text.

    The mean of the last hidden states over the tokens, at unit length; of a CLIP, the projected text embedding in the
    space that it shares with pictures, at unit length.

    Args:
        name: a directory, or `organisation/model`.
        device: where it computes.
        fetching: whether it may be downloaded.

    Raises:
        MissingError: transformers or the model is not there.
        FailedError: its configuration cannot be read.
    """

    def __init__(self, name: str, device: torch.device, fetching: Fetching | None = None) -> None:
        self.path = find_model(name, "adapter.targets", marked_by("config.json"), fetching or Fetching())
        self._transformers = transformers_for(f"adapter.targets = {name}")
        self._name = name
        self._device = device
        self.is_joint = _loaded(self._transformers.AutoConfig, self.path).model_type == _JOINT
        self.identity: Mapping[str, str] = {
            "name": name.rstrip("/").rpartition("/")[2],
            "kind": "sentence clip" if self.is_joint else "sentence",
            "version": VERSION,
            "weights": _hash_of([self.path]),
        }

    @property
    def description(self) -> str:
        """Which encoder this is."""
        space = "the space that CLIP's texts share with pictures" if self.is_joint else "mean over tokens"
        return f"targets: text encoder {self._name}, {space}"

    def encode(self, prompts: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """The point of each prompt, by the name of the one space."""
        tokenizer = _loaded(self._transformers.AutoTokenizer, self.path)
        model = _model(self._transformers.AutoModel, self.path, self._device)
        encoder = model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model
        with torch.inference_mode(), threads_per_operation(1):
            for prompt in prompts:
                inputs = tokenizer(prompt, truncation=True, return_tensors="pt").to(self._device)
                if self.is_joint:
                    value = joint_features(model.get_text_features(**inputs))[0]
                else:
                    states = encoder(**inputs).last_hidden_state[0]  # [tokens, dim]; without filling: all count
                    value = states.float().mean(0)
                yield {"text": normalize(value.float(), dim=0).cpu().clone()}


def joint_features(output: Any) -> Tensor:
    """CLIP's projected features [items, dim], which newer versions of transformers wrap."""
    features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return features


def encode_cached(encoder: TextEncoder, prompts: Sequence[str], cache: Path | None) -> dict[str, Tensor]:
    """Points of prompts, from the cache where it has them. A damaged entry is made anew.

    Args:
        encoder: what makes points.
        prompts: in the order of the result.
        cache: directory of the cache; None for none.

    Returns:
        By space, float32 [prompts, *shape].

    Raises:
        FailedError: the encoder cannot be loaded, gives values that are not finite, or the cache cannot be written.
        UsageError: a prompt is too long.
    """
    kept: dict[str, dict[str, Tensor]] = {}
    for prompt in dict.fromkeys(prompts):
        entry = None if cache is None else _read_entry(_entry(cache, encoder, prompt))
        if entry is not None:
            kept[prompt] = entry
    wanted = [prompt for prompt in dict.fromkeys(prompts) if prompt not in kept]
    if wanted:
        for prompt, point in zip(wanted, encoder.encode(wanted), strict=True):
            for space, values in point.items():
                if not values.isfinite().all():
                    raise FailedError(f"{encoder.description} gives NaN or infinite values in {space} for {prompt!r}")
            kept[prompt] = point
            if cache is not None:
                _write_entry(_entry(cache, encoder, prompt), point)
    return {space: torch.stack([kept[prompt][space] for prompt in prompts]) for space in kept[prompts[0]]}


def _entry(cache: Path, encoder: TextEncoder, prompt: str) -> Path:
    text = json.dumps([dict(encoder.identity), prompt], sort_keys=True)
    return cache / "targets" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.pt"


def _read_entry(path: Path) -> dict[str, Tensor] | None:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return {str(space): values for space, values in content.items() if values.isfinite().all()} or None
    except FileNotFoundError:
        return None
    except Exception:  # noqa: BLE001 - the cache can be made again, whatever has happened to it
        return None


def _write_entry(path: Path, point: Mapping[str, Tensor]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, durable=False) as file:
            torch.save(dict(point), file)
    except OSError as error:
        raise FailedError(
            f"the cache {path.parent} cannot be written — {error.strerror}", hint="--set embedding.cache=DIR"
        ) from error


def _loaded(kind: Any, directory: Path, **options: Any) -> Any:
    with _loading(directory):
        return kind.from_pretrained(directory, local_files_only=True, **options)


def _model(kind: Any, directory: Path, device: torch.device) -> Any:
    model, loading = _loaded(kind, directory, dtype="auto", output_loading_info=True)
    absent = sorted(name for name in loading["missing_keys"] if "position_ids" not in name and "pooler" not in name)
    if absent:  # they would be drawn at random, anew in every run
        raise FailedError(f"{directory} lacks weights of the model: {', '.join(absent[:3])} ({len(absent)} in all)")
    return model.eval().requires_grad_(requires_grad=False).to(device)


@contextmanager
def _loading(directory: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # transformers raises whatever its parts raise on a broken file
        raise FailedError(f"{directory} cannot be loaded — {first_line(error)}") from error


def _hash_of(directories: Sequence[Path]) -> str:
    """A hash of the files that decide what encoders make: weights, architectures, vocabularies."""
    digest = hashlib.sha256()
    for directory in directories:
        for path in sorted(directory.iterdir()) if directory.is_dir() else ():
            if path.suffix in (".json", ".txt", ".model", ".safetensors", ".bin") and path.is_file():
                with path.open("rb") as file:
                    digest.update(os.fsencode(path.name) + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _too_long(prompt: str, tokens: int, space: str, length: int) -> UsageError:
    what = f"adapter.t5_tokens = {length}" if space == "t5" else f"CLIP's text encoder takes {length}"
    return UsageError(
        f"the prompt {prompt!r} has {tokens} tokens, and {what}",
        ["nothing of a prompt is cut off"],
        hint=f"--set adapter.t5_tokens={tokens}" if space == "t5" else "shorten it: adapter.prompts",
    )
