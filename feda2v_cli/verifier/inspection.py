"""One file: is it sound, and is it what its name says?"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from feda2v_cli.checkpoint.content import Content, M, check_name, is_checkpoint, read_content, read_header
from feda2v_cli.checkpoint.defect import Corrupt, Defect, Misnamed, NotFetched
from feda2v_cli.checkpoint.format.archive import Archive, read_archive
from feda2v_cli.checkpoint.format.opening import OpenFile, opened
from feda2v_cli.checkpoint.format.references import TensorReference
from feda2v_cli.checkpoint.metadata import AdapterMetadata, GeneratorMetadata, Metadata
from feda2v_cli.checkpoint.name import GeneratorName, parse_name
from feda2v_cli.generator.axes import axes_of_class
from feda2v_cli.legacy.checkpoint import LegacyCheckpoint, check_records, read_legacy
from feda2v_cli.privacy.accountant import delta_of
from feda2v_cli.privacy.digest import digest_of_basis
from feda2v_cli.profile.generator_names import GeneratorTypeName

#: Share of the data's spread below which samples have lost its variety. Measured were 0.3 of collapsed
#: models, which recall nothing, and 0.9 or more of sound ones.
SMALLEST_SPREAD = 0.5
#: Clips of a class of which a generator tells each, if there are fewer.
FEWEST_CLIPS = 8
#: By so much a delta may be above the one that is promised: rounding.
ROUNDING_OF_DELTA = 1e-6
#: A claim's numbers beyond this are none.
_LARGEST_NUMBER = 1e9
#: An attack that ranks clips that trained higher than others more often than this tells them.
LARGEST_AUC = 0.75
_LONGEST_START = 200
_GIT_LFS = b"version https://git-lfs.github.com/spec/"
_MARKUP = (b"<!doctype html", b"<html", b"<?xml")


@dataclass(frozen=True)
class Inspection:
    """What was found in one file.

    Attributes:
        path: the file.
        bytes: its size.
        metadata: what it says when it holds a generator; None when that cannot be read.
        legacy: what it says when the earlier system wrote it.
        weights: what tells its weights from others, by generator; empty when they were not read.
        defects: what is wrong with it.
        adapter: what it says when it holds adapters.
        is_whole: whether every byte was read and is as it was written.
    """

    path: Path
    bytes: int = 0
    metadata: GeneratorMetadata | None = None
    legacy: LegacyCheckpoint | None = None
    weights: Mapping[str, object] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()
    adapter: AdapterMetadata | None = None
    is_whole: bool = False

    @property
    def name(self) -> GeneratorName | None:
        """What the file's name says of a generator."""
        return None if self.adapter is not None else parse_name(self.path.name)


def inspect_header(path: Path) -> Inspection:
    """Read what a file says of itself; its tensors are neither read nor checked."""
    size = 0
    try:
        with opened(path) as file:
            size = file.size
            archive = archive_in(file)
            if archive is None or not is_checkpoint(archive):
                return Inspection(path, size, legacy=read_legacy(file, archive))
            metadata = read_header(archive, Metadata).metadata
            return _inspection(path, size, metadata, _misnamed(path, metadata))
    except Defect as defect:
        return Inspection(path, size, defects=(defect,))


def inspect(path: Path) -> Inspection:
    """Check every byte of a file, without PyTorch and in constant memory."""
    size = 0
    try:
        with opened(path) as file:
            size = file.size
            archive = archive_in(file)
            if archive is None or not is_checkpoint(archive):
                return _inspect_legacy(path, file, archive)
            try:
                content = read_content(archive, Metadata)
            except Defect as defect:
                metadata = _metadata_of_damaged(archive)
                misnamed = [] if metadata is None else _misnamed(path, metadata)
                return _inspection(path, size, metadata, [defect, *misnamed])
    except Defect as defect:
        return Inspection(path, size, defects=(defect,))
    defects = [defect for check in CHECKS for defect in check(path, content.metadata)] + other_basis(content)
    return replace(_inspection(path, size, content.metadata, defects, {"": weights_of(content)}), is_whole=True)


def _inspection(
    path: Path,
    size: int,
    metadata: Metadata | None,
    defects: Iterable[Defect],
    weights: Mapping[str, object] | None = None,
) -> Inspection:
    """The inspection of a file of any kind; only generators' weights are told apart."""
    if isinstance(metadata, AdapterMetadata):
        return Inspection(path, size, defects=tuple(defects), adapter=metadata)
    generator = metadata if isinstance(metadata, GeneratorMetadata) else None
    return Inspection(path, size, generator, None, weights or {}, tuple(defects))


def archive_in(file: OpenFile) -> Archive | None:
    """The archive in a file; None when the file is a bare pickle, as PyTorch once wrote.

    Raises:
        Corrupt: it is neither.
    """
    start = file.read(0, min(file.size, _LONGEST_START))
    if start.startswith(_GIT_LFS):
        raise NotFetched
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        raise Corrupt("is an HTML page and no checkpoint: what was downloaded is the answer of a server")
    return None if start[:1] == b"\x80" else read_archive(file)


def _metadata_of_damaged(archive: Archive) -> Metadata | None:
    """The metadata of a file whose other records are damaged, so that its set is not said to lack it."""
    try:
        return read_header(archive, Metadata).metadata
    except Defect:
        return None


def _misnamed(path: Path, metadata: Metadata) -> list[Defect]:
    """FA012: the file's name is not what the metadata demand."""
    try:
        check_name(path, metadata)
    except Misnamed as defect:
        return [defect]
    return []


def _collapsed(_: Path, metadata: Metadata) -> list[Defect]:
    """FA020: the samples have lost the variety of the data."""
    if not isinstance(metadata, GeneratorMetadata):
        return []
    spreads = _spreads(metadata.quality or {})
    low = {name: spread for name, spread in spreads.items() if spread < SMALLEST_SPREAD}
    if not low:
        return []
    worst = min(low, key=lambda name: low[name])
    where = f" (class {worst})" if worst else ""
    return [
        Defect(
            "FA020",
            f"its samples have {low[worst]:.2f} of the spread of the data{where}, expected at least {SMALLEST_SPREAD}",
        )
    ]


def _revealing(_: Path, metadata: Metadata) -> list[Defect]:
    """FA022: whoever holds the file can tell clips that trained it."""
    if not isinstance(metadata, GeneratorMetadata):
        return []
    return [Defect("FA022", f"tells clips that trained it: {reason}") for reason in _what_reveals(metadata)][:1]


def _what_reveals(metadata: GeneratorMetadata) -> Iterator[str]:
    architecture = metadata.architecture
    # Of rounded counts, the most that they can be: what is told is sure.
    more = (metadata.counts_rounded_to or 1) // 2
    counts = {name: count + more for name, count in metadata.samples_per_class.items()}
    if "remainder" not in architecture and architecture.get("type") in get_args(GeneratorTypeName):
        yield "an earlier version made it, whose axes span all of its clips"
    few = min(counts, key=lambda name: counts[name], default=None)
    if few is not None and counts[few] < FEWEST_CLIPS:
        yield f"class {few} has {counts[few]}{' at most' * bool(more)}, expected at least {FEWEST_CLIPS}"
    rank, between = architecture.get("rank"), len(metadata.generator_classes) - 1
    paid = between + sum(map(axes_of_class, counts.values()))
    if architecture.get("projection") == "pca" and type(rank) is int and rank > paid:
        yield f"it has {rank} axes, and its clips pay for {paid}"
    found = (metadata.quality or {}).get("attack")
    low = found.get("low") if isinstance(found, Mapping) else None
    if isinstance(low, int | float) and low > LARGEST_AUC:
        yield f"an attack in its training had an AUC above {low:.2f}, expected at most {LARGEST_AUC}"


def false_claims(_: Path, metadata: Metadata) -> list[Defect]:
    """FA023: what the file promises does not hold."""
    if not isinstance(metadata, GeneratorMetadata) or metadata.privacy is None:
        return []
    claim, architecture = metadata.privacy, metadata.architecture
    epsilon, delta, multiplier = (_number(claim.get(name)) for name in ("epsilon", "delta", "noise_multiplier"))
    if not (epsilon > 0 and 0 < delta < 1 and multiplier > 0) or claim.get("mechanism") != "gaussian":
        return [Defect("FA023", "promises privacy without an epsilon, a delta and the noise that gives them")]
    if claim.get("released") != "class means":
        return [
            Defect("FA023", f"promises privacy of {claim.get('released')!r:.40}, expected class means, all it holds")
        ]
    if architecture.get("projection") != "public" or claim.get("public_basis") != architecture.get("public_basis"):
        return [Defect("FA023", "promises privacy of clips, and its axes are not those of the public basis it names")]
    given = delta_of(multiplier, epsilon)
    if given > delta * (1 + ROUNDING_OF_DELTA):
        told = f"at epsilon = {epsilon:g} its noise gives delta = {given:.2g}"
        return [Defect("FA023", f"promises delta = {delta:g}, and {told}")]
    return []


def other_basis(content: Content[M]) -> list[Defect]:
    """FA023: its axes are not those of the public basis that it names."""
    metadata = content.metadata
    if not isinstance(metadata, GeneratorMetadata) or metadata.architecture.get("projection") != "public":
        return []
    digests = {name: content.digests[f"data/{tensor.storage.key}"] for name, tensor in content.tensors.items()}
    named, held = metadata.architecture.get("public_basis"), digest_of_basis(digests)
    if named == held:
        return []
    return [Defect("FA023", f"names the public basis {named!s:.16}… and holds the axes of {held:.16}…")]


def _number(value: object) -> float:
    """A number of a claim; 0 for what is none, or too large for one."""
    return float(value) if isinstance(value, int | float) and abs(value) < _LARGEST_NUMBER else 0.0


#: What the metadata of a file whose bytes are sound can be wrong in.
CHECKS: tuple[Callable[[Path, Metadata], list[Defect]], ...] = (_misnamed, _collapsed, _revealing, false_claims)


def _spreads(quality: Mapping[str, Any]) -> dict[str, float]:
    """The spread of the samples overall, under an empty name, and of each class."""
    per_class = quality.get("per_class")
    parts = {"": quality, **(per_class if isinstance(per_class, dict) else {})}
    found = {}
    for name, part in parts.items():
        value = part.get("spread") if isinstance(part, Mapping) else None
        value = value.get("value") if isinstance(value, Mapping) else value
        if isinstance(value, int | float):
            found[name] = float(value)
    return found


def weights_of(content: Content[M]) -> object:
    """Equal for two generators exactly when all of their tensors are."""
    return frozenset(
        (name, tensor.shape, tensor.storage.dtype, content.digests[f"data/{tensor.storage.key}"])
        for name, tensor in content.tensors.items()
    )


def _identity(tensors: Mapping[str, TensorReference], digests: Mapping[str, object]) -> object:
    return frozenset(
        (name, tensor.shape, tensor.stride, tensor.offset, digests.get(f"data/{tensor.storage.key}"))
        for name, tensor in tensors.items()
    )


def _inspect_legacy(path: Path, file: OpenFile, archive: Archive | None) -> Inspection:
    legacy = read_legacy(file, archive)
    defects: list[Defect] = [Defect("FA019", legacy.summary)]
    weights = {}
    is_whole = True
    try:
        checksums = check_records(file, archive)
        once = {id(state): _identity(state, checksums) for state in {id(s): s for s in legacy.states.values()}.values()}
        weights = {key: once[id(state)] for key, state in legacy.states.items() if state}
    except Corrupt as defect:
        defects.insert(0, defect)
        is_whole = False
    defects += _misnamed_legacy(path, legacy)
    return Inspection(path, file.size, None, legacy, weights, tuple(defects), is_whole=is_whole)


def _misnamed_legacy(path: Path, legacy: LegacyCheckpoint) -> list[Defect]:
    """FA012 for a file of the earlier system: where name and metadata both say something, it must be the same."""
    name = parse_name(path.name)
    if name is None or legacy.kind != "generator" or legacy.is_server:
        return []
    said = {
        "node": (name.node, legacy.node),
        "granularity": (name.kind, legacy.granularity),
        "key": (name.key, legacy.key),
        "round": (name.round, legacy.round),
    }
    return [
        Defect("FA012", f"its name says {word} {of_name}, its metadata {word} {of_metadata}")
        for word, (of_name, of_metadata) in said.items()
        if of_name is not None and of_metadata is not None and of_name != of_metadata
    ]
