"""What a checkpoint says of itself: one class for each kind of checkpoint, and one way to write and to read them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

from feda2v_cli.checkpoint.fields import MetadataError, plain, typed
from feda2v_cli.checkpoint.name import GeneratorName, Granularity, adapter_filename

#: Version of the file format that this package writes, and the newest that it reads.
FORMAT_VERSION = 2


class NewerFormatError(MetadataError):
    """The metadata was written by a later version of this package."""

    def __init__(self, version: object) -> None:
        super().__init__("format_version", f"is {version!r} — this version reads up to {FORMAT_VERSION}")


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What all kinds have in common; a kind is a frozen dataclass of its fields, in the order of the file.

    Attributes:
        kind: what the file calls the kind.
        state_key: under which key the pickle holds the tensors.
        optional: fields that files of earlier versions lack; they have defaults.
    """

    kind: ClassVar[str]
    state_key: ClassVar[str]
    optional: ClassVar[frozenset[str]] = frozenset()

    @property
    def filename(self) -> str:
        """The name that its file must have, as text.

        Raises:
            UsageError: no file can be named so.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain values: dicts, lists, text, numbers, booleans and None.

        Raises:
            MetadataError: a value is of the wrong type, or is no plain value.
        """
        fields = fields_of(self.kind)
        values = {name: plain(getattr(self, name), name) for name in fields}
        for name, hint in fields.items():
            typed(values[name], hint, name)
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
        fields = fields_of(cls.kind)
        if type(version) is int and version < 1:
            raise MetadataError("format_version", f"is {version} — expected at least 1")
        for name in fields:
            if name not in values and name not in cls.optional:
                raise MetadataError(name, "is missing")
        for name in values:
            if name not in fields:
                raise MetadataError(name, "is unknown")
        metadata = cls(**{name: typed(values[name], hint, name) for name, hint in fields.items() if name in values})
        metadata.check()
        return metadata

    def check(self) -> None:
        """Check that the fields do not contradict each other.

        Raises:
            MetadataError: two of them do.
        """


@dataclass(frozen=True, kw_only=True)
class GeneratorMetadata(Metadata):
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
        encoder: identity of the audio encoder: name, sample_rate (Hz), seconds, tokens, version and what else it has;
            of a model of Hugging Face `model`, `weights`, a hash of its files, which tell it from others whatever its
            name, and `source`, how the profile named it, unless that is its name.
        embedding_shape: [tokens, dim] of a sample.
        dataset_name: data set of the clips.
        train_folds: folds that trained; empty when something else divides the clips.
        test_folds: folds that were held out; empty alike.
        samples_per_class: clips of each class that trained; multiples of `counts_rounded_to`, where that is given.
        dataset_fingerprint: of the list of clips: 16 hexadecimal digits of the SHA-256 of sorted lines, of name, class
            and fold of a clip with tabs between. Empty where `privacy` is promised: who knows the names can test it.
        seed: of the run's random numbers.
        generator_training_epochs: epochs seen so far.
        optimiser: settings of the optimiser.
        final_losses: losses of the last epoch by name.
        quality: quality figures when known; `spread` is the share of the data's spread that the samples have, overall
            and of each class in `per_class`, `active_units` the number of latent units that a VAE uses,
            `attack` the `auc`, from `low` to `high`, of the strongest attack on a Gaussian of three quarters of the
            clips, which tells them from the last quarter.
        package_version: version of this package that wrote the file.
        torch_version: version of PyTorch that wrote the file.
        profile_hash: SHA-256 of the effective profile, of what results depend on.
        format_version: version of the file format.
        node_fingerprint: of the list of all clips that the node has to train on, made like `dataset_fingerprint`; equal
            in all files of a node that one data set trained. None where `privacy` is promised; files of earlier
            versions lack it.
        run_directory: absolute path of the directory of the run that wrote the file, for commands that train it again;
            None when that path is no UTF-8.
            Files of earlier versions lack it.
        privacy: what is promised of every clip: `epsilon`, `delta`, `mechanism`, what is `released`,
            `noise_multiplier`, `clipping_bound`, `adjacency` and `public_basis`; None for no promise. Files of earlier
            versions lack it.
        split: which clips of its classes the node holds and what divides them, as keys of profiles: `split` (folds,
            official or ratio), and where they matter `train_ratio`, `val_ratio`, `test_ratio`, `split_seed`,
            `clips_per_class` and `block`. Files of format version 1 lack it: folds divided their clips.
        counts_rounded_to: counts of clips are multiples of it, the nearest above zero; None where they are exact. Files
            of earlier versions lack it.
    """

    kind = "generator"
    state_key = "generator_state_dict"
    optional = frozenset({"node_fingerprint", "run_directory", "privacy", "split", "counts_rounded_to"})

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
    node_fingerprint: str | None = None
    run_directory: str | None = None
    privacy: dict[str, Any] | None = None
    split: dict[str, Any] | None = None
    counts_rounded_to: int | None = None

    def check(self) -> None:
        """Check that the fields do not contradict each other.

        Raises:
            MetadataError: two of them do.
        """
        key, classes = self.generator_key, self.generator_classes
        of_class, of_group = self.generator_granularity == "per_class", self.generator_granularity == "per_group"
        said = "is not what generator_key and generator_granularity say"
        _require("class_name", self.class_name == (key if of_class else None), said)
        _require("group_name", self.group_name == (key if of_group else None), said)
        _require("generator_classes", not of_class or classes == (key,), said)
        _require_classes("generator_classes", classes, "node_classes", self.node_classes)
        _require("expected_keys", not self.expected_keys or key in self.expected_keys, "lacks generator_key")
        counted = self.samples_per_class.keys() <= set(classes)
        _require("samples_per_class", counted, "has a class that generator_classes lacks")
        rounded_to = self.counts_rounded_to
        _require("counts_rounded_to", rounded_to is None or rounded_to > 1, "is no multiple that counts are rounded to")
        whole = rounded_to is None or not any(count % rounded_to for count in self.samples_per_class.values())
        _require("samples_per_class", whole, f"has a count that is no multiple of {rounded_to}, counts_rounded_to")
        for name in ("node_id", "round", "generator_training_epochs"):
            _require(name, getattr(self, name) >= 0, "is negative")
        _require_of_embeddings(self.encoder, self.embedding_shape)
        _require_folds(self.split, self.train_folds, self.test_folds)

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

    @property
    def filename(self) -> str:
        """The name that its file must have, as text."""
        return self.name.filename


@dataclass(frozen=True, kw_only=True)
class AdapterMetadata(Metadata):
    """Everything that the checkpoint of an adapter says of itself, in plain values.

    It has no date: the same run gives the same bytes. When it was written stands in the run directory.

    Attributes:
        base_name: first part of the file's name.
        node_id: node that trained it; None for the server's.
        round: rounds of the federation.
        strategy: how the federation made one adapter of many, like fedavg.
        classes: all classes of the federation, in the order of the targets.
        node_classes: classes of the node; all classes for the server.
        architecture: everything that rebuilds it: dim, hidden, and shape of the target by space.
        encoder: identity of the audio encoder whose embeddings it takes.
        embedding_shape: [tokens, dim].
        targets: identity of the text encoder that made the targets.
        targets_fingerprint: of that identity and of every number of the targets, 16 hexadecimal digits.
        dataset_name: data set of the clips; of the server, those of all nodes, separated by commas.
        train_folds: folds that trained; empty when something else divides the clips.
        test_folds: folds that were held out; empty alike.
        synthetic_per_class: samples of a class that a node took from the others; 0 for none.
        generators: those of the samples: base_name and granularity; empty for none.
        seed: of the run's random numbers.
        accuracy: retrieval accuracy of the federation at the end.
        package_version: version of this package that wrote the file.
        torch_version: version of PyTorch that wrote the file.
        profile_hash: SHA-256 of the effective profile, of what results depend on.
        format_version: version of the file format.
        split: as of generators; of the server's, what all nodes have in common beside their blocks, and null where they
            differ.
    """

    kind = "adapter"
    state_key = "adapter_state_dict"
    optional = frozenset({"split"})

    base_name: str
    node_id: int | None
    round: int
    strategy: str
    classes: tuple[str, ...]
    node_classes: tuple[str, ...]
    architecture: dict[str, Any]
    encoder: dict[str, Any]
    embedding_shape: tuple[int, int]
    targets: dict[str, str]
    targets_fingerprint: str
    dataset_name: str
    train_folds: tuple[int, ...]
    test_folds: tuple[int, ...]
    synthetic_per_class: int
    generators: dict[str, str]
    seed: int
    accuracy: float
    package_version: str
    torch_version: str
    profile_hash: str
    format_version: int = FORMAT_VERSION
    split: dict[str, Any] | None = None

    def check(self) -> None:
        """Check that the fields do not contradict each other.

        Raises:
            MetadataError: two of them do.
        """
        _require_classes("node_classes", self.node_classes, "classes", self.classes)
        for name in ("round", "synthetic_per_class"):
            _require(name, getattr(self, name) >= 0, "is negative")
        _require("node_id", (self.node_id or 0) >= 0, "is negative")
        _require("accuracy", 0 <= self.accuracy <= 1, "is no share")
        _require_of_embeddings(self.encoder, self.embedding_shape)
        _require_folds(self.split, self.train_folds, self.test_folds)
        _require(
            "base_name", not set(self.base_name) & set("/\0") and self.base_name[:1] not in ("", "."), "is no name"
        )

    @property
    def filename(self) -> str:
        """The name that its file must have."""
        return adapter_filename(self.base_name, self.node_id)

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain values; the keys of its tables are texts of their own.

        A pickle says a text that is one object only once. So the bytes do not depend on which keys the program shares.
        """
        return {name: _with_own_keys(value) for name, value in super().to_dict().items()}


def _require(field: str, holds: bool, problem: str) -> None:
    if not holds:
        raise MetadataError(field, problem)


def _require_classes(field: str, classes: tuple[str, ...], whole: str, among: tuple[str, ...]) -> None:
    _require(field, bool(classes), "is empty")
    _require(field, len(set(classes)) == len(classes), "names a class twice")
    _require(field, set(classes) <= set(among), f"names a class that {whole} lacks")


def _require_of_embeddings(encoder: Mapping[str, Any], shape: tuple[int, int]) -> None:
    _require("encoder", type(encoder.get("name")) is str, "has no name")
    _require("embedding_shape", min(shape) > 0, "is no shape")


def _require_folds(split: Mapping[str, Any] | None, train: tuple[int, ...], test: tuple[int, ...]) -> None:
    _require("split", split is None or _is_split(split), "does not say what divides the clips")
    if split is None or split["split"] == "folds":
        _require("train_folds", min(train, default=0) > 0, "are no folds")
        _require("test_folds", min(test, default=0) > 0, "are no folds")


def _is_split(split: Mapping[str, Any]) -> bool:
    types: dict[str, tuple[type, ...]] = {"split_seed": (int,), "clips_per_class": (int,), "block": (dict,)}
    ratios: dict[str, tuple[type, ...]] = {f"{part}_ratio": (int, float) for part in ("train", "val", "test")}
    needed = {"split", "split_seed", *ratios} if split.get("split") == "ratio" else {"split"}
    known = types | ratios | {"split": (str,)}
    return (
        split.get("split") in ("folds", "official", "ratio")
        and needed <= split.keys() <= known.keys()
        and all(type(value) in known[key] for key, value in split.items())
    )


def _with_own_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.encode().decode(): _with_own_keys(item) for key, item in value.items()}
    return [_with_own_keys(item) for item in value] if isinstance(value, list) else value


#: Every kind of checkpoint, by what the file calls it.
KINDS: dict[str, type[Metadata]] = {kind.kind: kind for kind in (GeneratorMetadata, AdapterMetadata)}


@cache
def fields_of(kind: str) -> dict[str, Any]:
    """The fields of a kind and their types, in the order of the file."""
    hints = get_type_hints(KINDS[kind])
    return {field.name: hints[field.name] for field in dataclasses.fields(KINDS[kind])}
