"""Where the files of a set contradict each other: no profile is needed to see it."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.data.split import described
from feda2v_cli.embedding.identity import without_names
from feda2v_cli.verifier.finding import Finding
from feda2v_cli.verifier.inspection import Inspection
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, Place, grouped, listed


def disagreements(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """Every contradiction within a set."""
    for check in CHECKS:
        yield from check(checkpoints, remedies)


def _values_of_the_set(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA003, FA007, FA014, FA016: values that must be the same in all files of a set."""
    yield from _differing(checkpoints, checkpoints.members, "FA003", _run_granularity, str, remedies)
    yield from _differing(checkpoints, checkpoints.members, "FA014", _generator_type, str, remedies)
    yield from _differing(checkpoints, checkpoints.members, "FA007", _encoder, _embedding_words, remedies)
    by_folds = [member for member in checkpoints.members if member.metadata.train_folds]
    yield from _differing(checkpoints, by_folds, "FA016", _folds, _folds_words, remedies)


def _values_of_a_node(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA003, FA007, FA016: values that must be the same in all files of a node. Of tokens each may have its own."""
    for members in checkpoints.by_node.values():
        if len(grouped(members, _encoder)) == 1:
            yield from _differing(checkpoints, members, "FA007", _embedding, _embedding_words, remedies)
        yield from _differing(checkpoints, members, "FA003", _own_granularity, str, remedies)
        yield from _differing(checkpoints, members, "FA016", _dataset, str, remedies)
        yield from _differing(checkpoints, members, "FA016", _split, str, remedies)


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
                checkpoints.path_of(differing),
                f"is {_WORDS[code]} {shown(value)} ({listed(differing)}), "
                f"the others are {_WORDS[code]} {shown(usual)} ({listed(groups[usual])})",
                # Files of another granularity have names that no run of the others writes.
                hint=remedies.set_aside(checkpoints, differing)
                if code == "FA003"
                else remedies.train_again(checkpoints, differing, like=groups[usual]),
            )


def _run_granularity(metadata: GeneratorMetadata) -> str:
    return metadata.run_granularity


def _own_granularity(metadata: GeneratorMetadata) -> str:
    return metadata.generator_granularity


def _generator_type(metadata: GeneratorMetadata) -> str:
    return metadata.generator_type


def _dataset(metadata: GeneratorMetadata) -> str:
    return metadata.dataset_name


def _encoder(metadata: GeneratorMetadata) -> Hashable:
    identity, (_, dim) = without_names(metadata.encoder), metadata.embedding_shape
    return tuple(sorted((field, str(value)) for field, value in identity.items() if field != "tokens")), (dim,)


def _embedding(metadata: GeneratorMetadata) -> Hashable:
    identity = without_names(metadata.encoder)
    return tuple(sorted((field, str(value)) for field, value in identity.items())), metadata.embedding_shape


def _embedding_words(embedding: tuple[Any, ...]) -> str:
    identity, shape = embedding
    words = [value if field == "name" else f"{field} {value}" for field, value in identity]
    return f"{', '.join(map(str, words))}, shape {'×'.join(map(str, shape))}"


def _split(metadata: GeneratorMetadata) -> str:
    return f"clips by {described(metadata.split)}"


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
                checkpoints.path_of(differing),
                f"says that group {name} is {', '.join(sorted(classes))} ({listed(differing)}), "
                f"the others that it is {', '.join(sorted(usual))} ({listed(groups[usual])})",
                hint=remedies.train_again(checkpoints, differing, like=groups[usual]),
            )


def _clips(checkpoints: CheckpointSet, remedies: Remedies) -> Iterator[Finding]:
    """FA016: generators that a run would load together were trained on different data sets, and no profile said so."""
    current = [member for place, member in checkpoints.current.items() if place not in checkpoints.stale]
    for members in grouped(current, lambda metadata: metadata.node_id).values():
        known = [member for member in members if member.metadata.node_fingerprint is not None]
        usual, *others = grouped(known, _node_clips).values() if known else ([],)
        for differing in others:
            if differing[0].metadata.dataset_name == usual[0].metadata.dataset_name:
                yield Finding(
                    "FA016",
                    checkpoints.path_of(differing),
                    f"is trained on other clips of node {differing[0].metadata.node_id} than the others "
                    f"({listed(differing)}; {listed(usual)})",
                    hint=remedies.train_again(checkpoints, differing, like=usual),
                )
    by_dataset = grouped(current, _dataset)
    usual_name = next(iter(by_dataset), "")
    for name, differing in by_dataset.items():
        profiles = {member.metadata.profile_hash for member in by_dataset[usual_name]}
        nodes = {member.metadata.node_id for member in by_dataset[usual_name]}
        # Nodes of one profile may hold different data sets.
        strange = [
            member
            for member in differing
            if member.metadata.profile_hash not in profiles and member.metadata.node_id not in nodes
        ]
        if name != usual_name and strange:
            yield Finding(
                "FA016",
                checkpoints.path_of(strange),
                f"is trained on {name} ({listed(strange)}), the others on {usual_name} and by another profile "
                f"({listed(by_dataset[usual_name])})",
                hint=remedies.train_again(checkpoints, strange, like=by_dataset[usual_name]),
            )


def _node_clips(metadata: GeneratorMetadata) -> str | None:
    return metadata.node_fingerprint


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
        yield Finding(
            "FA015", str(member.path), problem, hint=remedies.train_again(checkpoints, [member], final_alone=True)
        )


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
            # The last round of a generator and its final checkpoint are the same: the final one comes last.
            twins[member.weights][member.place] = member
    for places in twins.values():
        first, *others = places.values()
        for other in others:
            if not _must_be_equal(first.metadata, other.metadata):
                yield Finding(
                    "FA013",
                    str(other.path),
                    f"holds the same weights as {first.path.name}",
                    hint=remedies.train_again(checkpoints, [first, other]),
                )


def _must_be_equal(first: GeneratorMetadata, other: GeneratorMetadata) -> bool:
    """A closed form gives two nodes that hold the same clips the same generator, rightly."""
    return (
        first.generator_type == other.generator_type == "gaussian"
        and first.generator_classes == other.generator_classes
        and first.dataset_fingerprint == other.dataset_fingerprint != ""
    )


#: Every way in which files of a set can contradict each other, in the order in which it is told.
CHECKS: tuple[Callable[[CheckpointSet, Remedies], Iterator[Finding]], ...] = (
    _values_of_the_set,
    _groups,
    _values_of_a_node,
    _clips,
    _round_gaps,
    _stale,
    same_weights,
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
                hint=remedies.explain("FA013"),
            )
