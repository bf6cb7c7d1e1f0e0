"""Where a set is not what a profile or the options ask for: another set, other files, or files that are missing."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.checkpoint.name import GeneratorName, Granularity
from feda2v_cli.counted import counted
from feda2v_cli.data.split import FOLDS_ALONE, described
from feda2v_cli.embedding.identity import differences, in_words
from feda2v_cli.privacy.accountant import epsilon_of
from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import Finding
from feda2v_cli.verifier.inspection import Inspection
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, grouped, listed, most_common

_Groups = dict[str, frozenset[str]]
#: Says in words what is wrong with one file; nothing when it is what is expected of its node.
_Check = Callable[[GeneratorMetadata, Expectation, ExpectedNode], str]


def is_meant(checkpoints: CheckpointSet, expectation: Expectation) -> bool:
    """Whether a set has the base name and the granularity that are expected."""
    return expectation.base_name in (None, checkpoints.base_name) and (
        expectation.granularity in (None, checkpoints.granularity) or checkpoints.granularity is None
    )


def why_not_meant(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    """FA002 and FA003: the set carries another base name or granularity than is asked for."""
    if checkpoints.granularity not in (None, expectation.granularity) and expectation.granularity is not None:
        for words, differing in _by_mismatch(_granularity, checkpoints.members, expectation, {}).items():
            there = differing[0].metadata.generator_granularity
            hint = remedies.ask_for("generator.granularity", there, checkpoints.directory)
            yield _finding("FA003", words, differing, checkpoints, hint)
        return
    count = len(checkpoints.members) + len(checkpoints.unread)
    yield Finding(
        "FA002",
        str(checkpoints.directory),
        f"holds base name {checkpoints.base_name} ({counted(count, 'file')}), "
        f"{expectation.asks_for(expectation.base_name)}",
        hint=remedies.ask_for("checkpoint.base_name", checkpoints.base_name, checkpoints.directory),
    )


def mismatches(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    """Everything in which the files of a set are not what is expected of them, gaps aside."""
    nodes = {node.id: node for node in expectation.nodes}
    members = [member for member in checkpoints.members if not nodes or member.metadata.node_id in nodes]
    for code, check in CHECKS:
        for words, differing in _by_mismatch(check, members, expectation, nodes).items():
            if code == "FA014" and len(differing) == len(members) and expectation.profile is not None:
                hint = remedies.ask_for("generator.type", differing[0].metadata.generator_type, checkpoints.directory)
            else:
                hint = remedies.train_again(checkpoints, differing, as_expected=True)
            yield _finding(code, words, differing, checkpoints, hint)


def adapter_mismatches(
    inspections: Iterable[Inspection], expectation: Expectation, remedies: Remedies
) -> Iterator[Finding]:
    """FA007: adapters of the expected name that take embeddings of another encoder."""
    nodes = {node.id: node for node in expectation.nodes}
    for inspection in inspections:
        adapter = inspection.adapter
        if adapter is not None and adapter.base_name == expectation.adapter_base_name:
            node = nodes.get(adapter.node_id) if adapter.node_id is not None else None
            words = _other_encoder(adapter.encoder, expectation, node or ExpectedNode(-1))
            if words:
                yield Finding("FA007", str(inspection.path), words, hint=remedies.federate())


def gaps(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    """FA004 and FA005: nodes without generators, classes that no generator can make."""
    expected = {node.id: node for node in expectation.nodes}
    unlike = (
        _by_mismatch(check, checkpoints.members, expectation, expected) for code, check in CHECKS if code != "FA014"
    )
    like_the_others = not any(unlike)
    current: defaultdict[int, list[Member]] = defaultdict(list)
    for (holder, _), member in checkpoints.current.items():
        current[holder].append(member)
    for node in () if expectation.by_class else sorted(expected.keys() | set(checkpoints.nodes)):
        if node in checkpoints.nodes:
            yield from _class_gaps(
                checkpoints, current[node], expected.get(node, ExpectedNode(node)), remedies, like_the_others
            )
        else:
            yield Finding(
                "FA004",
                str(checkpoints.directory),
                f"has generators of {'node' if len(checkpoints.nodes) == 1 else 'nodes'} "
                f"{', '.join(map(str, checkpoints.nodes))}; "
                f"{expectation.asks_for(f'node {node}')}",
                hint=remedies.train_missing(checkpoints, node, None, like_the_others=like_the_others),
            )
    made = {name for member in checkpoints.current.values() for name in member.metadata.generator_classes}
    for name in expectation.classes:
        if name not in made:
            yield Finding(
                "FA005",
                str(checkpoints.directory),
                f"has no generator that can make class {name}; its generators make {', '.join(sorted(made))}",
                hint=remedies.explain("FA005"),
            )


def _by_mismatch(
    check: _Check, members: Sequence[Member], expectation: Expectation, nodes: Mapping[int, ExpectedNode]
) -> dict[str, list[Member]]:
    """The files with which something is wrong, by what it is."""

    def words(metadata: GeneratorMetadata) -> str:
        return check(metadata, expectation, nodes.get(metadata.node_id, ExpectedNode(metadata.node_id)))

    return {said: differing for said, differing in grouped(members, words).items() if said}


def _finding(
    code: str, words: str, differing: Sequence[Member], checkpoints: CheckpointSet, hint: str | None
) -> Finding:
    where = "" if len(differing) == 1 else f" ({listed(differing)})"
    return Finding(code, checkpoints.path_of(differing), f"{words}{where}", hint=hint)


def _granularity(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    there, wanted = metadata.generator_granularity, node.granularity or expectation.granularity
    return "" if wanted in (None, there) else f"holds {there} generators, {expectation.asks_for(wanted)}"


def _generator_type(metadata: GeneratorMetadata, expectation: Expectation, _: ExpectedNode) -> str:
    there, wanted = metadata.generator_type, expectation.generator_type
    return "" if wanted in (None, there) else f"holds generators of type {there}, {expectation.asks_for(wanted)}"


def _encoder(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    return _other_encoder(metadata.encoder, expectation, node)


def _other_encoder(there: Mapping[str, Any], expectation: Expectation, node: ExpectedNode) -> str:
    if not expectation.encoder:
        return ""
    expected = {**expectation.encoder} if node.tokens is None else {**expectation.encoder, "tokens": node.tokens}
    differing = differences(there, expected)
    if not differing:
        return ""
    wanted = in_words(expected, differing)
    return f"was trained on embeddings of encoder {in_words(there, differing)}; {expectation.asks_for(wanted)}"


def _dataset(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    if node.dataset in (None, metadata.dataset_name):
        return ""
    return f"was trained on data set {metadata.dataset_name}, {expectation.asks_for(node.dataset)}"


def _split(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    there, wanted = metadata.split or FOLDS_ALONE, node.split
    if wanted is not None and dict(wanted) != dict(there):
        return f"was trained on clips by {described(there)}; {expectation.asks_for(described(wanted))}"
    return _folds(metadata, expectation) if there["split"] == "folds" else ""


def _folds(metadata: GeneratorMetadata, expectation: Expectation) -> str:
    train, test = expectation.train_folds, expectation.test_folds
    if train is None or test is None:
        return ""
    if set(train) == set(metadata.train_folds) and set(test) == set(metadata.test_folds):
        return ""
    leaked = sorted(set(metadata.train_folds) & set(test))
    return (
        f"was trained on folds {_words(metadata.train_folds)} with {_words(metadata.test_folds)} held out; "
        f"{expectation.asks_for(_words(train))} with {_words(test)} held out"
        + (f": it has seen fold {_words(leaked)}" if leaked else "")
    )


def _class_groups(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    if metadata.generator_granularity != "per_group" or (node.groups is None and node.group is None):
        return ""
    there, wanted = _both_groups(metadata, node)
    if there == wanted:
        return ""
    return f"was trained with groups {_group_words(there)}; {expectation.asks_for(_group_words(wanted))}"


def _privacy(metadata: GeneratorMetadata, expectation: Expectation, _: ExpectedNode) -> str:
    """FA023: less privacy than is asked for."""
    if expectation.max_epsilon is None:
        return ""
    wanted = expectation.asks_for(f"at most {expectation.max_epsilon:g} at delta = {expectation.delta:g}")
    claim = metadata.privacy or {}
    epsilon, delta, multiplier = (claim.get(name) for name in ("epsilon", "delta", "noise_multiplier"))
    if not isinstance(epsilon, float) or not isinstance(delta, float) or not isinstance(multiplier, float):
        return f"promises its clips nothing, {wanted}"
    # A small epsilon is soon promised at a large delta. What a claim is worth elsewhere, its noise tells.
    worth = epsilon if delta <= expectation.delta else epsilon_of(multiplier, expectation.delta)
    if worth <= expectation.max_epsilon:
        return ""
    here = "" if delta <= expectation.delta else f", which is {worth:.3g} at {expectation.delta:g}"
    return f"promises its clips epsilon = {epsilon:g} at delta = {delta:g}{here}, {wanted}"


#: Everything in which a file can be another than is asked for, with its code, in the order in which it is told.
CHECKS: tuple[tuple[str, _Check], ...] = (
    ("FA003", _granularity),
    ("FA014", _generator_type),
    ("FA007", _encoder),
    ("FA006", _class_groups),
    ("FA016", _dataset),
    ("FA016", _split),
    ("FA023", _privacy),
)


def _both_groups(metadata: GeneratorMetadata, node: ExpectedNode) -> tuple[_Groups, _Groups]:
    """The groups that the metadata name and those that are wanted."""
    if node.group is not None:
        there = {str(metadata.generator_key): frozenset(metadata.generator_classes)}
        return there, {node.group: frozenset(node.classes or metadata.generator_classes)}
    classes = metadata.node_classes
    return _touching(metadata.generator_class_groups, classes), _touching(node.groups or {}, classes)


def _touching(groups: Mapping[str, tuple[str, ...]], classes: tuple[str, ...]) -> _Groups:
    """The groups that hold a class of the node; what else there is does not matter to it."""
    return {name: frozenset(members) for name, members in groups.items() if set(members) & set(classes)}


def _group_words(groups: _Groups) -> str:
    return "; ".join(f"{name} = {', '.join(sorted(classes))}" for name, classes in sorted(groups.items())) or "none"


def _words(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _class_gaps(
    checkpoints: CheckpointSet,
    members: list[Member],
    expected: ExpectedNode,
    remedies: Remedies,
    like_the_others: bool,
) -> Iterator[Finding]:
    node = expected.id
    if not members:
        return
    granularity = most_common(member.metadata.generator_granularity for member in members)
    made = {name for member in members for name in member.metadata.generator_classes}
    held = expected.classes
    if held is None:
        # What an earlier run left speaks of the classes of that run.
        own = [member for member in members if member.place not in checkpoints.stale]
        held = tuple(dict.fromkeys(name for member in own for name in member.metadata.node_classes))
    missing: dict[GeneratorName, list[str]] = {}
    for name in held:
        if name not in made:
            file = GeneratorName(
                checkpoints.base_name, node, granularity, _key_for(name, granularity, members, expected)
            )
            missing.setdefault(file, []).append(name)
    for file, classes in missing.items():
        # A file that is there and broken has a finding of its own.
        if any((name.node, name.key) == (node, file.key) for name in checkpoints.unread):
            continue
        word = "class" if len(classes) == 1 else "classes"
        yield Finding(
            "FA005",
            str(checkpoints.directory),
            f"node {node} holds {word} {', '.join(classes)}, and no generator can make "
            f"{'it' if len(classes) == 1 else 'them'}: {file.filename} would",
            hint=remedies.train_missing(checkpoints, node, file.key, like_the_others=like_the_others),
        )


def _key_for(name: str, granularity: Granularity, members: list[Member], expected: ExpectedNode) -> str | None:
    """The key of the generator that would make a class."""
    if granularity == "unified":
        return None
    if granularity == "per_class":
        return name
    if expected.group is not None:
        return expected.group
    groups = expected.groups or members[0].metadata.generator_class_groups
    return next((group for group, classes in groups.items() if name in classes), name)
