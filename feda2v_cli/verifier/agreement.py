"""Where the files of a set contradict each other: no profile is needed to see it."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.verifier.finding import Finding
from feda2v_cli.verifier.inspection import Inspection
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, Place, grouped, listed


def disagreements(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """Every contradiction within a set."""
    files = checkpoints.members
    yield from _differing(checkpoints, files, "FA003", _run_granularity, str, remedies)
    yield from _differing(checkpoints, files, "FA014", lambda metadata: metadata.generator_type, str, remedies)
    yield from _differing(checkpoints, files, "FA007", _embedding, encoder_words, remedies)
    yield from _differing(checkpoints, files, "FA016", _folds, _folds_words, remedies)
    yield from _groups(checkpoints, remedies)
    for of_node in checkpoints.by_node.values():
        yield from _differing(checkpoints, of_node, "FA003", _own_granularity, str, remedies)
        yield from _differing(checkpoints, of_node, "FA016", lambda metadata: metadata.dataset_name, str, remedies)
    yield from _round_gaps(checkpoints, remedies)
    yield from _stale(checkpoints, remedies)
    yield from same_weights(checkpoints, remedies)


def encoder_words(embedding: tuple[Any, ...]) -> str:
    """An encoder's identity and shape in words."""
    identity, shape = embedding
    words = [value if field == "name" else f"{field} {value}" for field, value in identity]
    return f"{', '.join(map(str, words))}, shape {'×'.join(map(str, shape))}"


_WORDS = {
    "FA003": "of granularity",
    "FA007": "made for embeddings of",
    "FA014": "of type",
    "FA016": "trained on",
}


def _differing(
    checkpoints: CheckpointSet,
    members: Sequence[Member],
    code: str,
    value_of: Callable[[GeneratorMetadata], Hashable],
    shown: Callable[[Any], str],
    remedies: Remedies,
) -> Iterator[Finding]:
    """A finding for each group of files that differs from the largest one."""
    groups = grouped(members, value_of)
    usual = next(iter(groups), None)
    for value, differing in groups.items():
        if value != usual:
            yield Finding(
                code,
                str(differing[0].path if len(differing) == 1 else checkpoints.directory),
                f"is {_WORDS[code]} {shown(value)} ({listed(differing)}), "
                f"the others are {_WORDS[code]} {shown(usual)} ({listed(groups[usual])})",
                hint=train_again(checkpoints, differing, remedies),
            )


def train_again(checkpoints: CheckpointSet, members: Sequence[Member], remedies: Remedies) -> str:
    """The command that trains the generators of some files again."""
    nodes = {member.metadata.node_id for member in members}
    return remedies.train(checkpoints.granularity, checkpoints.directory, checkpoints.base_name, nodes)


def _run_granularity(metadata: GeneratorMetadata) -> str:
    return metadata.run_granularity


def _own_granularity(metadata: GeneratorMetadata) -> str:
    return metadata.generator_granularity


def _embedding(metadata: GeneratorMetadata) -> Hashable:
    return tuple(sorted((field, str(value)) for field, value in metadata.encoder.items())), metadata.embedding_shape


def _folds(metadata: GeneratorMetadata) -> Hashable:
    return metadata.train_folds, metadata.test_folds


def _folds_words(folds: tuple[tuple[int, ...], ...]) -> str:
    train, test = (", ".join(map(str, numbers)) for numbers in folds)
    return f"folds {train}, held out {test}"


def _groups(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA006: a group of one name has different classes in different files."""
    per_group = [member for member in checkpoints.members if member.metadata.generator_granularity == "per_group"]
    names = {name: None for member in per_group for name in member.metadata.generator_class_groups}
    for name in names:
        knowing = [member for member in per_group if name in member.metadata.generator_class_groups]
        groups = grouped(knowing, lambda metadata, name=name: frozenset(metadata.generator_class_groups[name]))  # type: ignore[misc]
        usual, *others = groups
        for classes in others:
            differing = groups[classes]
            yield Finding(
                "FA006",
                str(differing[0].path if len(differing) == 1 else checkpoints.directory),
                f"says that group {name} is {', '.join(sorted(classes))} ({listed(differing)}), "
                f"the others that it is {', '.join(sorted(usual))} ({listed(groups[usual])})",
                hint=train_again(checkpoints, differing, remedies),
            )


def _round_gaps(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA015: some generators are behind the others, or a final checkpoint is older than one of a round."""
    last = max((member.metadata.round for member in checkpoints.current.values()), default=0)
    has_final = any(member.metadata.final for member in checkpoints.current.values())
    for place, member in checkpoints.current.items():
        newest = checkpoints.newest_rounds[place]
        if newest > member.metadata.round:
            problem = f"is of round {member.metadata.round}, and a checkpoint of round {newest} lies beside it"
        elif member.metadata.round < last:
            problem = f"ends at round {member.metadata.round}, others of the set at round {last}"
        elif has_final and not member.metadata.final:
            problem = "has no final checkpoint beside it, others of the set have one"
        else:
            continue
        yield Finding("FA015", str(member.path), problem, hint=train_again(checkpoints, [member], remedies))


def _stale(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA021: generators that an earlier run left, of classes or groups that the node's newest files do not know."""
    for member in checkpoints.stale.values():
        yield Finding(
            "FA021",
            str(member.path),
            f"is of an earlier run: the newest generators of node {member.metadata.node_id} know no "
            f"{member.metadata.generator_key}",
            hint=remedies.remove(member.path),
        )


def same_weights(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA013: generators of different keys or nodes that hold equal weights."""
    twins: defaultdict[object, dict[Place, Member]] = defaultdict(dict)
    for member in checkpoints.members:
        if member.weights is not None:
            twins[member.weights].setdefault(member.place, member)
    for places in twins.values():
        first, *others = places.values()
        for other in others:
            if not _must_be_equal(first.metadata, other.metadata):
                yield Finding(
                    "FA013",
                    str(other.path),
                    f"holds the same weights as {first.path.name}",
                    hint=train_again(checkpoints, [first, other], remedies),
                )


def same_weights_of_legacy(inspections: Iterable[Inspection], remedies: Remedies) -> Iterator[Finding]:
    """FA013 for the earlier system, where one generator could be saved under the key of every class."""
    twins: defaultdict[tuple[Path, object], dict[tuple[Hashable, ...], Inspection]] = defaultdict(dict)
    for inspection in inspections:
        legacy = inspection.legacy
        if legacy is not None and legacy.kind == "generator":
            for state, weights in inspection.weights.items():
                place: tuple[Hashable, ...] = (legacy.is_server, legacy.node, legacy.key, state)
                twins[inspection.path.parent, weights].setdefault(place, inspection)
    for places in twins.values():
        (first_place, first), *others = places.items()
        for place, other in others:
            yield Finding(
                "FA013",
                str(other.path),
                f"holds the same weights as {first.path.name}"
                if other is not first
                else f"holds the same weights under the keys {first_place[-1]} and {place[-1]}",
                hint=remedies.train(other.legacy.granularity if other.legacy else None),
            )


def _must_be_equal(first: GeneratorMetadata, other: GeneratorMetadata) -> bool:
    """A closed form gives two nodes that hold the same clips the same generator, rightly."""
    return (
        first.generator_type == other.generator_type == "gaussian"
        and first.generator_classes == other.generator_classes
        and first.dataset_fingerprint == other.dataset_fingerprint
    )
