"""Where a set is not what a profile or the options ask for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.verifier.agreement import train_again
from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import Finding
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, grouped, listed

_Groups = dict[str, frozenset[str]]
#: What is wrong with one file, in words; nothing when it is what is expected of its node.
_Check = Callable[[GeneratorMetadata, Expectation, ExpectedNode], str]


def mismatches(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    """Everything in which the files of a set are not what is expected of them, gaps aside."""
    nodes = {node.id: node for node in expectation.nodes}
    members = [member for member in checkpoints.members if not nodes or member.metadata.node_id in nodes]
    for code, check in _CHECKS:
        for words, differing in _disappointing(check, members, expectation, nodes).items():
            yield _found(code, words, differing, checkpoints, train_again(checkpoints, differing, remedies))


def granularity_mismatch(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    """FA003 for a set of another granularity than is asked for."""
    for words, differing in _disappointing(_granularity, checkpoints.members, expectation, {}).items():
        there = differing[0].metadata.generator_granularity
        hint = remedies.ask_for("--granularity", there, checkpoints.directory)
        yield _found("FA003", words, differing, checkpoints, hint)


def _disappointing(
    check: _Check, members: Sequence[Member], expectation: Expectation, nodes: Mapping[int, ExpectedNode]
) -> dict[str, list[Member]]:
    """The files with which something is wrong, by what it is."""

    def words(metadata: GeneratorMetadata) -> str:
        return check(metadata, expectation, nodes.get(metadata.node_id, ExpectedNode(metadata.node_id)))

    return {said: differing for said, differing in grouped(members, words).items() if said}


def _found(code: str, words: str, differing: Sequence[Member], checkpoints: CheckpointSet, hint: str | None) -> Finding:
    if len(differing) == 1:
        return Finding(code, str(differing[0].path), words, hint=hint)
    return Finding(code, str(checkpoints.directory), f"{words} ({listed(differing)})", hint=hint)


def _granularity(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    there, wanted = metadata.generator_granularity, node.granularity or expectation.granularity
    return "" if wanted in (None, there) else f"holds {there} generators, {expectation.asks_for(wanted)}"


def _generator_type(metadata: GeneratorMetadata, expectation: Expectation, _: ExpectedNode) -> str:
    there, wanted = metadata.generator_type, expectation.generator_type
    return "" if wanted in (None, there) else f"holds generators of type {there}, {expectation.asks_for(wanted)}"


def _encoder(metadata: GeneratorMetadata, expectation: Expectation, _: ExpectedNode) -> str:
    there = metadata.encoder
    differing = [field for field, value in expectation.encoder.items() if field in there and there[field] != value]
    if not differing:
        return ""
    mine = ", ".join(f"{field} {there[field]}" for field in differing)
    theirs = ", ".join(f"{field} {expectation.encoder[field]}" for field in differing)
    return f"was trained on embeddings of encoder {mine}; {expectation.asks_for(theirs)}"


def _dataset(metadata: GeneratorMetadata, expectation: Expectation, node: ExpectedNode) -> str:
    if node.dataset in (None, metadata.dataset_name):
        return ""
    return f"was trained on data set {metadata.dataset_name}, {expectation.asks_for(node.dataset)}"


def _folds(metadata: GeneratorMetadata, expectation: Expectation, _: ExpectedNode) -> str:
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


_CHECKS: tuple[tuple[str, _Check], ...] = (
    ("FA003", _granularity),
    ("FA014", _generator_type),
    ("FA007", _encoder),
    ("FA006", _class_groups),
    ("FA016", _dataset),
    ("FA016", _folds),
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
