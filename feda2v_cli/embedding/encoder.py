"""What an encoder is, and which there are."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from feda2v_cli.embedding.identity import MELSTATS, Identity, check_name
from feda2v_cli.errors import UsageError
from feda2v_cli.profile.schema import EmbeddingSection, Profile, Tokens

#: What /proc/cpuinfo calls the instructions for bfloat16, on x86 and on ARM.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


class Encoder(Protocol):
    """Turns sounds into embeddings, frozen.

    Attributes:
        name: short name, like `melstats`.
        source: value of the key `embedding.encoder` that means it.
        identity: everything that changes what it makes, as plain JSON values; `embedding.identity` compares them.
        shape: tokens and dimensions of an embedding.
        sample_rate: Hz of the waveforms it takes.
        seconds: length of the waveforms it takes.
        precision: numbers that it computes with: float32 or bfloat16.
        description: for the user: which encoder this is and what that means.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - described above
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def identity(self) -> Identity: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102
    @property
    def description(self) -> str: ...  # noqa: D102

    def with_tokens(self, tokens: Tokens) -> "Encoder":
        """The same encoder with other tokens; a model is shared.

        Raises:
            UsageError: it does not give so many, or has no class token.
        """
        ...

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
        FailedError: the model cannot be loaded, or is none that makes embeddings of sounds.
    """
    if section.encoder == MELSTATS:
        from feda2v_cli.embedding.melstats import MelStats

        return MelStats(section.tokens, section.sample_rate, section.seconds, device)
    check_name(section.encoder)
    from feda2v_cli.embedding.huggingface import load_huggingface

    bfloat16 = section.cache_dtype == "bfloat16" and is_quick_in_bfloat16(device)
    return load_huggingface(
        section.encoder, section.tokens, section.seconds, device, torch.bfloat16 if bfloat16 else torch.float32
    )


def is_quick_in_bfloat16(device: torch.device) -> bool:
    """Whether a processor has instructions for bfloat16: a GPU since Ampere, a CPU with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    try:
        return bool(_BFLOAT16_FLAGS & set(Path("/proc/cpuinfo").read_text().split()))
    except OSError:  # not Linux
        return False


def node_encoders(encoder: Encoder, profile: Profile) -> dict[int | None, Encoder]:
    """The encoder of each node, by its id; nodes with the same tokens have the same.

    That of the server, by None, is the nodes' where they all have the same, or else the profile's.

    Args:
        encoder: of the profile.
        profile: may give a node tokens of its own.

    Raises:
        UsageError: the encoder does not give the tokens of a node.
    """
    by_tokens = {profile.embedding.tokens: encoder}
    for node in profile.nodes:
        tokens = profile.tokens_of(node)
        if tokens not in by_tokens:
            try:
                by_tokens[tokens] = encoder.with_tokens(tokens)
            except UsageError as error:
                raise UsageError(
                    f"node {node.id}: {error.title}", error.details, "change tokens of this node"
                ) from error
    tokens = profile.embedding.tokens if profile.nodes_that_differ else profile.tokens_of(profile.nodes[0])
    return {None: by_tokens[tokens]} | {node.id: by_tokens[profile.tokens_of(node)] for node in profile.nodes}
