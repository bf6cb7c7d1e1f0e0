"""Whether a set has a generator for every node and class that it must have."""

from collections import defaultdict
from collections.abc import Iterator

from feda2v_cli.checkpoint.name import GeneratorName, Granularity
from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import Finding
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, most_common


def gaps(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    """FA004 and FA005: nodes without generators, classes that no generator can make."""
    expected = {node.id: node for node in expectation.nodes}
    current: defaultdict[int, list[Member]] = defaultdict(list)
    for (holder, _), member in checkpoints.current.items():
        current[holder].append(member)
    for node in sorted(expected.keys() | set(checkpoints.nodes)):
        if node in checkpoints.nodes:
            yield from _classes(checkpoints, current[node], expected.get(node, ExpectedNode(node)), remedies)
        else:
            yield Finding(
                "FA004",
                str(checkpoints.directory),
                f"has generators of {'node' if len(checkpoints.nodes) == 1 else 'nodes'} "
                f"{', '.join(map(str, checkpoints.nodes))}; "
                f"{expectation.asks_for(f'node {node}')}",
                hint=remedies.train(
                    expected[node].granularity or checkpoints.granularity,
                    checkpoints.directory,
                    checkpoints.base_name,
                    [node],
                    force=False,
                ),
            )
    made = {name for member in checkpoints.current.values() for name in member.metadata.generator_classes}
    for name in expectation.classes:
        if name not in made:
            yield Finding(
                "FA005",
                str(checkpoints.directory),
                f"has no generator that can make class {name}; its generators make {', '.join(sorted(made))}",
                hint=remedies.train(checkpoints.granularity, checkpoints.directory, checkpoints.base_name),
            )


def _classes(
    checkpoints: CheckpointSet, members: list[Member], expected: ExpectedNode, remedies: Remedies
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
            file = GeneratorName(checkpoints.base_name, node, granularity, _key(name, granularity, members, expected))
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
            hint=remedies.train(checkpoints.granularity, checkpoints.directory, checkpoints.base_name, [node]),
        )


def _key(name: str, granularity: Granularity, members: list[Member], expected: ExpectedNode) -> str | None:
    """The key of the generator that would make a class."""
    if granularity == "unified":
        return None
    if granularity == "per_class":
        return name
    if expected.group is not None:
        return expected.group
    groups = expected.groups or members[0].metadata.generator_class_groups
    return next((group for group, classes in groups.items() if name in classes), name)
