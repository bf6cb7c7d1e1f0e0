"""The adapters that pictures are made by: found, verified, and of one federation."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.metadata import AdapterMetadata
from feda2v_cli.embedding.identity import differences
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.federation.standardise import Standardisation
from feda2v_cli.image.adapter_output import Head, rebuild_adapters
from feda2v_cli.paths import is_directory, is_there
from feda2v_cli.profile.schema import CheckpointSection, ImagesSection
from feda2v_cli.verifier.finding import Finding, FindingsError
from feda2v_cli.verifier.single import load_adapter

#: Share of the targets' deviation by which the same text encoder differs between devices and number formats.
_TOLERANCE = 0.03


@dataclass(frozen=True)
class Adapters:
    """The adapters of a node, or of the server, as a checkpoint holds them.

    Attributes:
        path: the file.
        digest: SHA-256 of its bytes, 16 hexadecimal digits.
        metadata: what it says of itself.
        standardisation: of what goes in.
        heads: by target space.
    """

    path: Path
    digest: str
    metadata: AdapterMetadata
    standardisation: Standardisation
    heads: Mapping[str, Head]

    @property
    def owner(self) -> str:
        """`server`, or the node's id."""
        return owner_word(self.metadata.node_id)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of an output by space."""
        return {space: head.shape for space, head in self.heads.items()}

    @property
    def centre(self) -> dict[str, Tensor]:
        """Mean target by space."""
        return {space: head.centre for space, head in self.heads.items()}


def owner_word(node: int | None) -> str:
    """What files and pictures call a node, or the server."""
    return "server" if node is None else str(node)


def load_adapters(path: Path | None, checkpoint: CheckpointSection, images: ImagesSection) -> tuple[Adapters, ...]:
    """Adapters after a check of every byte.

    Args:
        path: a file, or a directory; None for the profile's directory.
        checkpoint: says where adapters lie and what they are called.
        images: says whose adapters make pictures: the server's, the nodes' own. Where there are none of the server's
            (strategy none), it is the nodes' own.

    Raises:
        MissingError: there are none.
        UsageError: they are of several federations.
        FindingsError: a file is not sound.
    """
    place = checkpoint.adapter_dir if path is None else path
    if is_directory(place):
        files = _chosen(place, path, checkpoint.adapter_base_name, images)
    elif is_there(place):
        files = [place]
    else:
        raise MissingError(f"{place} — no adapters there", ["they are what RUN 2 trains"], hint=_train(place, path))
    adapters = tuple(map(_load, files))
    first = adapters[0].metadata
    for other in adapters[1:]:
        metadata = other.metadata
        differing = [field for field in differences(metadata.encoder, first.encoder) if field != "tokens"]
        if differing or metadata.targets_fingerprint != first.targets_fingerprint:
            raise UsageError(
                f"{other.path} and {adapters[0].path} are of different federations: encoder or targets differ",
                hint=shlex.join(["feda2v", "images", str(other.path)]),
            )
    return adapters


def _train(place: Path, named: Path | None) -> str:
    """The command that trains adapters where they were looked for."""
    directory = place.parent if place.suffix == ".pt" else place
    return shlex.join(["feda2v", "federate", *([] if named is None else ["--checkpoint-dir", str(directory)])])


def _chosen(directory: Path, named: Path | None, base_name: str, images: ImagesSection) -> list[Path]:
    server = directory / f"{base_name}_server.pt"
    nodes = sorted(directory.glob(f"{base_name}_node*.pt"), key=lambda path: (len(path.name), path.name))
    files = [server] if images.server and server.is_file() else []
    if images.nodes or not server.is_file():
        files += nodes
    if not files:
        there = sorted(path.name for path in directory.glob("*.pt"))
        raise MissingError(
            f"{directory} holds no adapters called {base_name}",
            [f"there is {', '.join(there[:5])}" if there else "there is no checkpoint at all"],
            hint=_train(directory, named) if not there else "--set checkpoint.adapter_base_name=NAME, or name the file",
        )
    return files


def _load(path: Path) -> Adapters:
    metadata, state = load_adapter(path)
    try:
        standardisation, heads = rebuild_adapters(metadata, state)
    except Defect as defect:
        raise FindingsError([Finding.of(path, defect)]) from defect
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return Adapters(path, digest, metadata, standardisation, heads)


def same_targets(adapters: Adapters, spaces: Mapping[str, Tensor]) -> bool:
    """Whether adapters were trained on these targets, by what their checkpoint keeps of them: centre and scale.

    Args:
        adapters: of a federation.
        spaces: targets of its classes by space, in their own units.
    """
    for space, head in adapters.heads.items():
        values = spaces.get(space)
        if values is None or tuple(values.shape[1:]) != head.shape:
            return False
        centre = values.mean(0) if len(values) > 1 else values[0] * 0
        scale = float((values - centre).square().mean().sqrt()) or 1.0
        apart = float((centre - head.centre).square().mean().sqrt())
        if max(apart, abs(scale - head.scale)) > _TOLERANCE * head.scale:
            return False
    return True


def node_holdings(adapters: Sequence[Adapters]) -> dict[int, AdapterMetadata]:
    """What is said of each node whose own adapters are there, by its id."""
    return {one.metadata.node_id: one.metadata for one in adapters if one.metadata.node_id is not None}
