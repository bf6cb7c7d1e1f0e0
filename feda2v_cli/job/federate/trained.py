"""Adapters of an earlier run that are evaluated as they are: loaded after every check, and held against the profile."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from feda2v_cli.embedding.encoder import Encoder
from feda2v_cli.embedding.identity import differences, in_words
from feda2v_cli.embedding.target import Targets
from feda2v_cli.engine.stack import row_of
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.federation.strategy.strategy import Owner
from feda2v_cli.job.images.adapters import Adapters, load_adapters, same_targets
from feda2v_cli.profile.schema import ImagesSection, Profile
from feda2v_cli.verifier.finding import Finding, FindingsError


@dataclass(frozen=True)
class TrainedAdapters:
    """Adapters that are not trained any further.

    Attributes:
        directory: where they lie.
        files: of the server's, or of each node's where there are none of the server's.
    """

    directory: Path
    files: tuple[Adapters, ...]

    @property
    def standardisation(self) -> Standardisation:
        """Of embeddings, as it was when they were trained."""
        return self.files[0].standardisation

    @property
    def hidden(self) -> int:
        """Width of their hidden layers."""
        return int(self.files[0].metadata.architecture["hidden"])

    @property
    def owners(self) -> list[Owner]:
        """Whose they are; None is the server."""
        return [one.metadata.node_id for one in self.files]

    @property
    def parameters(self) -> dict[Owner, Mapping[str, Tensor]]:
        """Flat parameters [parameters] by owner and target space."""
        return {
            one.metadata.node_id: {space: row_of(head.parameters) for space, head in one.heads.items()}
            for one in self.files
        }

    @property
    def digests(self) -> list[str]:
        """What they are, to the byte."""
        return [one.digest for one in self.files]

    def __str__(self) -> str:
        owner = "the server" if self.owners == [None] else f"{len(self.files)} nodes"
        return f"adapters of {owner} in {self.directory}, after round {self.files[0].metadata.round}"


def load_trained(profile: Profile, encoders: Mapping[Owner, Encoder], targets: Targets) -> TrainedAdapters | None:
    """The adapters that a profile has loaded; None when it trains its own.

    Args:
        profile: says where they lie.
        encoders: of each node by its id, and of the profile by None.
        targets: of all classes.

    Raises:
        MissingError: they are not there, or those of a node are not.
        FindingsError: a file is not sound, or takes embeddings of another encoder.
        UsageError: they were trained for other classes or targets.
    """
    path = profile.checkpoint.load_adapters
    if path is None:
        return None
    files = load_adapters(path, profile.checkpoint, ImagesSection())
    problems = list(_mismatches(files, encoders))
    if problems:
        raise FindingsError(problems)
    metadata = files[0].metadata
    if sorted(metadata.classes) != list(profile.classes):
        raise UsageError(
            f"{files[0].path} was trained for other classes than the profile's",
            [f"it knows {', '.join(metadata.classes)}", f"the profile has {', '.join(profile.classes)}"],
            hint="a profile whose nodes hold these classes: -p PROFILE",
        )
    if set(files[0].heads) != set(targets.spaces) or not all(same_targets(one, targets.spaces) for one in files):
        raise UsageError(
            f"{files[0].path} was trained on other targets than adapter.targets = {profile.adapter.targets}",
            [f"its own: {metadata.targets.get('source', metadata.targets.get('name', 'unknown'))}"],
            hint="--set adapter.targets=… as it was trained, with the same adapter.spaces and shapes",
        )
    if metadata.node_id is not None:
        _check_nodes(files, profile, path)
    return TrainedAdapters(path, files)


def _mismatches(files: tuple[Adapters, ...], encoders: Mapping[Owner, Encoder]) -> Iterator[Finding]:
    for one in files:
        encoder = encoders.get(one.metadata.node_id, encoders[None])
        differing = differences(one.metadata.encoder, encoder.identity)
        there, here = in_words(one.metadata.encoder, differing), in_words(encoder.identity, differing)
        if not differing and tuple(one.metadata.embedding_shape) == tuple(encoder.shape):
            continue
        if not differing:
            there, here = (" x ".join(map(str, shape)) for shape in (one.metadata.embedding_shape, encoder.shape))
        yield Finding(
            "FA007",
            str(one.path),
            f"was trained on embeddings of encoder {there}; the profile asks for {here}",
            hint="feda2v checkpoints verify --explain FA007",
        )


def _check_nodes(files: tuple[Adapters, ...], profile: Profile, path: Path) -> None:
    there = {one.metadata.node_id for one in files if one.metadata.node_id is not None}
    missing = [node.id for node in profile.nodes if node.id not in there]
    if missing:
        raise MissingError(
            f"{path} holds adapters of nodes and none of the server, and node {missing[0]} has none there",
            [f"there are those of {', '.join(f'node {node}' for node in sorted(there))}"],
            hint=shlex.join(["feda2v", "checkpoints", "ls", str(path)]),
        )
