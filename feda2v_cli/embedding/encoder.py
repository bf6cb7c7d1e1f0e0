"""What an encoder is, and which there are."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from feda2v_cli.errors import UsageError, closest
from feda2v_cli.paths import expanded, is_directory
from feda2v_cli.profile.schema import EmbeddingSection

MELSTATS = "melstats"
#: `organisation/model` on the hub of Hugging Face.
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class Encoder(Protocol):
    """Turns sounds into embeddings, frozen.

    Attributes:
        name: short name, like `melstats`.
        identity: everything that changes what it makes, as plain JSON values. Two encoders of one identity are one.
        shape: tokens and dimensions of an embedding.
        sample_rate: Hz of the waveforms it takes.
        seconds: length of the waveforms it takes.
        description: for the user: which encoder this is and what that means.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above
    @property
    def identity(self) -> Mapping[str, str | int | float]: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def description(self) -> str: ...  # noqa: D102

    def encode(self, waveforms: Tensor) -> Tensor:
        """Embeddings of sounds; that of one does not depend on the others, to the last bit.

        Args:
            waveforms: float32 `[clips, samples]` at `sample_rate`, `seconds` long, as `prepare` makes them.

        Returns:
            float32 `[clips, tokens, dim]`, on the CPU.
        """
        ...


def make_encoder(section: EmbeddingSection, device: torch.device) -> Encoder:
    """The encoder that a profile names.

    Args:
        section: name or path, tokens, sample rate and seconds.
        device: where it computes.

    Raises:
        UsageError: there is no such encoder, or its clips are too short for so many tokens.
        MissingError: transformers, the model, or its weights are not there.
    """
    if section.encoder == MELSTATS:
        from feda2v_cli.embedding.melstats import MelStats

        return MelStats(section.tokens, section.sample_rate, section.seconds, device)
    path = expanded(Path(section.encoder), "embedding.encoder")
    if is_directory(path) or path.is_absolute() or _HUB_NAME.fullmatch(section.encoder):
        from feda2v_cli.embedding.huggingface import load_huggingface

        return load_huggingface(section.encoder, section.tokens, section.seconds, device)
    near = closest(section.encoder.lower(), [MELSTATS])
    raise UsageError(
        f"embedding.encoder = {section.encoder} — no such encoder",
        [
            f"built in: {MELSTATS}",
            "or an audio model of Hugging Face: its directory, or a name like MIT/ast-finetuned-audioset-10-10-0.4593",
            *([f"did you mean {near}?"] if near else []),
        ],
    )
