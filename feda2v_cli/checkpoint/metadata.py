"""What a generator's checkpoint says of itself."""

import dataclasses
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from feda2v_cli.checkpoint.name import GeneratorName, Granularity
from feda2v_cli.errors import FailedError

_LARGEST_NUMBER = sys.float_info.max
#: Version of the file format that this package writes, and the newest that it reads.
FORMAT_VERSION = 1


class MetadataError(FailedError):
    """A field of the metadata is missing, unknown or of the wrong type; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"metadata field {field} {problem}")
        self.field = field


class NewerFormatError(MetadataError):
    """The metadata was written by a later version of this package."""

    def __init__(self, version: object) -> None:
        super().__init__("format_version", f"is {version!r} — this version reads up to {FORMAT_VERSION}")


@dataclass(frozen=True, kw_only=True)
class GeneratorMetadata:
    """Everything that a generator's checkpoint says of itself, in plain values.

    `generator_classes` are in the order that conditions the generator. `expected_keys`, `node_classes` and
    `generator_class_groups` describe the whole set of the node, so that a set from which a file has gone contradicts
    itself.

    Attributes:
        base_name: first part of the file's name.
        node_id: node that holds the clips.
        round: rounds of training that the generator has seen.
        final: whether it is the end of training; then the file's name has no round.
        timestamp: when it was saved, UTC, ISO 8601.
        generator_type: vae or gaussian.
        generator_granularity: granularity of this node's generators.
        run_granularity: granularity of the profile, which a node may override.
        generator_key: class or group; None for unified.
        generator_classes: classes that it can make.
        class_name: its class, per_class only.
        group_name: its group, per_group only.
        generator_class_groups: all groups of the profile and their classes.
        node_classes: all classes that this node's generators make together.
        expected_keys: keys of all of this node's generators; empty for unified.
        architecture: everything that rebuilds the model, in plain values.
        encoder: identity of the audio encoder: name, sample_rate (Hz), seconds, tokens, version and what else it has.
        embedding_shape: [tokens, dim] of a sample.
        dataset_name: data set of the clips.
        train_folds: folds that trained.
        test_folds: folds that were held out.
        samples_per_class: clips of each class that trained.
        dataset_fingerprint: of the list of clips.
        seed: of the run.
        generator_training_epochs: epochs seen so far.
        optimiser: its settings.
        final_losses: losses of the last epoch by name.
        quality: quality figures when known; `spread` is the share of the data's spread that the samples have, overall
            and of each class in `per_class`, `active_units` the number of latent units that a VAE uses.
        package_version: of feda2v.
        torch_version: of PyTorch.
        profile_hash: of the effective profile.
        format_version: of the file format.
    """

    base_name: str
    node_id: int
    round: int
    final: bool
    timestamp: str
    generator_type: str
    generator_granularity: Granularity
    run_granularity: Granularity
    generator_key: str | None
    generator_classes: tuple[str, ...]
    class_name: str | None
    group_name: str | None
    generator_class_groups: dict[str, tuple[str, ...]]
    node_classes: tuple[str, ...]
    expected_keys: tuple[str, ...]
    architecture: dict[str, Any]
    encoder: dict[str, Any]
    embedding_shape: tuple[int, int]
    dataset_name: str
    train_folds: tuple[int, ...]
    test_folds: tuple[int, ...]
    samples_per_class: dict[str, int]
    dataset_fingerprint: str
    seed: int
    generator_training_epochs: int
    optimiser: dict[str, Any]
    final_losses: dict[str, float]
    quality: dict[str, Any] | None
    package_version: str
    torch_version: str
    profile_hash: str
    format_version: int = FORMAT_VERSION

    @property
    def name(self) -> GeneratorName:
        """The name that its file must have.

        Raises:
            UsageError: no file can be named so.
        """
        return GeneratorName(
            self.base_name,
            self.node_id,
            self.generator_granularity,
            self.generator_key,
            None if self.final else self.round,
        )

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain values: dicts, lists, text, numbers, booleans and None.

        Raises:
            MetadataError: a value is of the wrong type, or is no plain value.
        """
        values = {name: _plain(getattr(self, name), name) for name in _fields()}
        for name, hint in _fields().items():
            _typed(values[name], hint, name)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The metadata in plain values.

        Raises:
            NewerFormatError: a later version wrote them.
            MetadataError: a field is missing, unknown or of the wrong type.
        """
        version = values.get("format_version")
        if type(version) is int and version > FORMAT_VERSION:
            raise NewerFormatError(version)
        fields = _fields()
        for name in fields:
            if name not in values:
                raise MetadataError(name, "is missing")
        for name in values:
            if name not in fields:
                raise MetadataError(name, "is unknown")
        return cls(**{name: _typed(values[name], hint, name) for name, hint in fields.items()})


@cache
def _fields() -> dict[str, Any]:
    hints = get_type_hints(GeneratorMetadata)
    return {field.name: hints[field.name] for field in dataclasses.fields(GeneratorMetadata)}


def _typed(value: Any, hint: Any, place: str) -> Any:
    """A plain value as a field's type has it: lists become tuples."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return _plain(value, place)
    if origin is types.UnionType:
        return None if value is None else _typed(value, arguments[0], place)
    if origin is Literal and value in arguments:
        return value
    if origin is dict and type(value) is dict:
        return {
            _typed(key, arguments[0], place): _typed(item, arguments[1], f"{place}.{key}")
            for key, item in value.items()
        }
    if origin is tuple and type(value) is list and (arguments[-1] is Ellipsis or len(value) == len(arguments)):
        return tuple(_typed(item, arguments[0], f"{place}.{index}") for index, item in enumerate(value))
    if hint is float and type(value) in (float, int):
        return _plain(value, place)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise MetadataError(place, f"is {_shown(value)} — expected {_expected(hint)}")


def _plain(value: Any, place: str) -> Any:
    """A value as JSON has it: tuples become lists, mappings dicts."""
    if value is None or type(value) in (str, bool):
        return value
    if type(value) in (int, float):
        if not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
            raise MetadataError(place, f"is {_shown(value)} — expected a finite number")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise MetadataError(place, f"has the key {_shown(key)} — expected text")
        return {key: _plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}.{index}") for index, item in enumerate(value)]
    raise MetadataError(place, f"is {_shown(value)} — expected text, a number, a list or a table")


def _expected(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(arguments)
    if origin is types.UnionType:
        return f"{_expected(arguments[0])} or nothing"
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)}"
    words = {dict: "a table", tuple: "a list", str: "text", int: "an integer", float: "a number", bool: "true or false"}
    return words[origin or hint]


def _shown(value: object) -> str:
    if isinstance(value, dict | list | tuple | set):
        return f"a {type(value).__name__}"
    text = repr(value) if not isinstance(value, int) or abs(value) < _LARGEST_NUMBER else "a huge number"
    return text if len(text) <= 60 else f"{text[:59]}…"
