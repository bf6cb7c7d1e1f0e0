"""What an adapter's checkpoint says of itself."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from feda2v_cli.checkpoint.metadata import MetadataError, NewerFormatError
from feda2v_cli.checkpoint.name import SUFFIX

#: Version of the file format that this package writes, and the newest that it reads.
ADAPTER_FORMAT_VERSION = 1


class AdapterMetadata(BaseModel):
    """Everything that the checkpoint of an adapter says of itself, in plain values.

    It has no date: the same run gives the same bytes. When it was written stands in the run directory.

    Attributes:
        base_name: first part of the file's name.
        node_id: node that trained it; None for the server's.
        round: rounds of the federation.
        strategy: of the federation.
        classes: of the federation, in the order of the targets.
        node_classes: classes of the node; all classes for the server.
        architecture: everything that rebuilds it: dim, hidden, and shape of the target by space.
        encoder: identity of the audio encoder whose embeddings it takes.
        embedding_shape: [tokens, dim].
        targets: identity of the text encoder.
        targets_fingerprint: of the targets' numbers.
        dataset_name: data set of the clips.
        train_folds: folds that trained.
        test_folds: folds that were held out.
        synthetic_per_class: samples of a class that a node took from the others; 0 for none.
        generators: of the samples: directory, base name and granularity; empty for none.
        seed: of the run.
        accuracy: retrieval accuracy of the federation at the end.
        package_version: of feda2v.
        torch_version: of PyTorch.
        profile_hash: of the effective profile.
        format_version: of the file format.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    base_name: str
    node_id: int | None
    round: int
    strategy: str
    classes: list[str]
    node_classes: list[str]
    architecture: dict[str, Any]
    encoder: dict[str, str | int | float]
    embedding_shape: list[int]
    targets: dict[str, str]
    targets_fingerprint: str
    dataset_name: str
    train_folds: list[int]
    test_folds: list[int]
    synthetic_per_class: int
    generators: dict[str, str]
    seed: int
    accuracy: float
    package_version: str
    torch_version: str
    profile_hash: str
    format_version: int = ADAPTER_FORMAT_VERSION

    @property
    def filename(self) -> str:
        """The name that its file must have."""
        return adapter_filename(self.base_name, self.node_id)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The metadata in plain values.

        Raises:
            NewerFormatError: a later version wrote them.
            MetadataError: a field is missing, unknown or of the wrong type.
        """
        version = values.get("format_version")
        if type(version) is int and version > ADAPTER_FORMAT_VERSION:
            raise NewerFormatError(version)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            raise MetadataError(".".join(map(str, first["loc"])), f"— {first['msg']}") from error


def adapter_filename(base_name: str, node: int | None) -> str:
    """Name of an adapter's file.

    >>> adapter_filename("adapter", 0), adapter_filename("adapter", None)
    ('adapter_node0.pt', 'adapter_server.pt')
    """
    return f"{base_name}_server{SUFFIX}" if node is None else f"{base_name}_node{node}{SUFFIX}"
