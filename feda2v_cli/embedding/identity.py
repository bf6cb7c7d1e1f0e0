"""Identities of encoders: when two are of one encoder, and what a profile tells of its own before it is loaded.

Neither PyTorch nor transformers is needed: the verifier compares identities too.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from feda2v_cli.embedding.audio_model import digest_of_model, find_audio_model, may_name_model, short_name
from feda2v_cli.errors import UsageError, closest

if TYPE_CHECKING:
    from feda2v_cli.profile.schema import EmbeddingSection

MELSTATS = "melstats"
#: Raised when the same encoder gives other embeddings than it did.
MELSTATS_VERSION = 1
HUGGING_FACE_VERSION = 1

#: Values of `embedding.tokens` that are no number.
CLS = "cls"
ALL = "all"

#: Everything that changes what an encoder makes, as plain JSON values, and `name`, which people call it.
Identity = Mapping[str, str | int | float]


def known_identity(section: "EmbeddingSection") -> dict[str, str | int | float]:
    """What a profile tells of its encoder's identity before it is loaded. Of a model every byte of its files counts.

    Args:
        section: name or path, tokens, sample rate and seconds.

    Raises:
        UsageError: there is no such encoder.
        MissingError: the model is not on this machine.
        FailedError: its files cannot be read.
    """
    known = {"seconds": section.seconds, "tokens": section.tokens}
    if section.encoder == MELSTATS:
        # A model of Hugging Face has a sample rate of its own.
        return {"name": MELSTATS, "version": MELSTATS_VERSION, **known, "sample_rate": section.sample_rate}
    check_name(section.encoder)
    weights = digest_of_model(find_audio_model(section.encoder, fetch=False))
    return {"name": short_name(section.encoder), "version": HUGGING_FACE_VERSION, "weights": weights, **known}


def check_name(encoder: str) -> None:
    """Refuse a name that means no encoder.

    Raises:
        UsageError: it is neither built in, nor a path or a name on the hub.
    """
    if encoder != MELSTATS and not may_name_model(encoder):
        near = closest(encoder.lower(), [MELSTATS])
        raise UsageError(
            f"embedding.encoder = {encoder} — no such encoder",
            [
                f"built in: {MELSTATS}",
                "or an audio model of Hugging Face: its directory, or a name like "
                "MIT/ast-finetuned-audioset-10-10-0.4593",
                *([f"did you mean {near}?"] if near else []),
            ],
        )


def no_class_token(encoder: str) -> UsageError:
    """The error for an encoder that is asked for a class token and has none."""
    return UsageError(
        f"embedding.tokens = {CLS} — {encoder} has no class token",
        ["a spectrogram transformer (AST) has one; others take a number of tokens, or all"],
        hint="--set embedding.tokens=4",
    )


def differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The fields in which an encoder differs from the wanted one; none when they are one encoder.

    A model is told by its weights: the same files may lie in another directory, or in the store of the hub.

    Args:
        there: an identity, as a checkpoint holds it too.
        wanted: an identity, or the part of it that is known.
    """
    if ("weights" in there) != ("weights" in wanted):
        return ["weights"]
    told_otherwise = ("name", "source") if "weights" in wanted else ("source",)
    return [name for name, value in wanted.items() if name not in told_otherwise and there.get(name) != value]


def in_words(identity: Mapping[str, Any], fields: Sequence[str]) -> str:
    """Some fields of an identity, for messages; weights with the name of the model that has them.

    >>> in_words({"name": "tiny", "weights": "0123456789abcdef", "tokens": 4}, ["weights", "tokens"])
    'tiny with weights 01234567, tokens 4'
    """
    return ", ".join(
        _with_weights(identity) if field == "weights" else f"{field} {identity.get(field, 'unknown')}"
        for field in fields
    )


def _with_weights(identity: Mapping[str, Any]) -> str:
    weights = identity.get("weights")
    return f"{identity.get('name')} " + ("without weights" if weights is None else f"with weights {str(weights)[:8]}")


def without_names(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity without what two identities of one encoder may call differently."""
    names = ("name", "source") if "weights" in identity else ("source",)
    return {field: value for field, value in identity.items() if field not in names}


def recorded(identity: Identity, source: str) -> dict[str, str | int | float]:
    """What a checkpoint keeps of an encoder: its identity, and how a profile names it, unless that is its name.

    Args:
        identity: of the encoder.
        source: value of `embedding.encoder`.
    """
    return {**identity} if source == identity["name"] else {**identity, "source": source}


def source_of(recorded: Mapping[str, Any]) -> str:
    """How the profile named the encoder whose record this is, as far as the record says."""
    return str(recorded.get("source", recorded.get("name", MELSTATS)))
