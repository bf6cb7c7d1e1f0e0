"""Sets: the checkpoints in one directory that share a base name, as one run leaves them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.checkpoint.name import GeneratorName, Granularity
from feda2v_cli.verifier.inspection import Inspection

Value = TypeVar("Value", bound=Hashable)
#: Node and generator key.
Place = tuple[int, str | None]


@dataclass(frozen=True)
class Member:
    """A file of a set and what it says of itself."""

    path: Path
    metadata: GeneratorMetadata
    weights: object = None

    @property
    def place(self) -> Place:
        """Node and generator key."""
        return self.metadata.node_id, self.metadata.generator_key


@dataclass(frozen=True)
class CheckpointSet:
    """The checkpoints of one run.

    Attributes:
        directory: where they lie.
        base_name: first part of their names.
        members: the files whose metadata could be read.
        unread: files whose metadata could not, by what their names say.
    """

    directory: Path
    base_name: str
    members: tuple[Member, ...]
    unread: dict[GeneratorName, Path]

    @cached_property
    def granularity(self) -> Granularity | None:
        """Granularity of the run; None when no file can tell."""
        return most_common(member.metadata.run_granularity for member in self.members) if self.members else None

    @property
    def paths(self) -> list[Path]:
        """All of its files."""
        return [*(member.path for member in self.members), *self.unread.values()]

    @cached_property
    def chosen(self) -> dict[Place, Path]:
        """The file that a run loads of each generator: the final checkpoint, or else that of the last round.

        A file whose metadata cannot be read is taken for what its name says. When it is the one, the run stops: an
        older one never takes its place.
        """
        ranked = [(member.place, _rank(member), member.path) for member in self.members]
        for name, path in self.unread.items():
            ranked.append(((name.node, name.key), (name.round is None, name.round or 0, True), path))
        chosen: dict[Place, tuple[tuple[bool, int, bool], Path]] = {}
        for place, rank, path in ranked:
            if place not in chosen or rank > chosen[place][0]:
                chosen[place] = rank, path
        return {place: path for place, (_, path) in chosen.items()}

    @cached_property
    def current(self) -> dict[Place, Member]:
        """Those of `chosen` whose metadata could be read."""
        chosen = self.chosen
        return {member.place: member for member in self.members if chosen[member.place] == member.path}

    @cached_property
    def stale(self) -> dict[Place, Member]:
        """What a run would load that is of an earlier run: the newest file of its node expects no such key."""
        of_nodes = grouped(list(self.current.values()), lambda metadata: metadata.node_id)
        stale = {}
        for members in of_nodes.values():
            expected = max(members, key=lambda member: member.metadata.timestamp).metadata.expected_keys
            for member in members:
                key = member.metadata.generator_key
                if expected and key is not None and key not in expected:
                    stale[member.place] = member
        return stale

    @cached_property
    def newest_rounds(self) -> dict[Place, int]:
        """The last round of each generator that has a file."""
        newest: dict[Place, int] = {}
        for member in self.members:
            newest[member.place] = max(member.metadata.round, newest.get(member.place, 0))
        return newest

    @cached_property
    def by_node(self) -> dict[int, list[Member]]:
        """The files of each node."""
        return grouped(self.members, lambda metadata: metadata.node_id)

    @cached_property
    def nodes(self) -> tuple[int, ...]:
        """Nodes that have a file, readable or not."""
        found = {member.metadata.node_id for member in self.members} | {name.node for name in self.unread}
        return tuple(sorted(found))

    def path_of(self, members: Sequence[Member]) -> str:
        """What a finding about some of the files is about: the one file, or the directory of several."""
        return str(members[0].path if len(members) == 1 else self.directory)


def sets_of(inspections: Iterable[Inspection]) -> list[CheckpointSet]:
    """Files in their sets, sorted by directory and base name. Adapters and files of the earlier system are in none."""
    members: defaultdict[tuple[Path, str], list[Member]] = defaultdict(list)
    unread: defaultdict[tuple[Path, str], dict[GeneratorName, Path]] = defaultdict(dict)
    inspections = list(inspections)
    adapters = {(seen.path.parent, seen.adapter.base_name) for seen in inspections if seen.adapter is not None}
    for inspection in inspections:
        directory, metadata = inspection.path.parent, inspection.metadata
        if metadata is not None:
            member = Member(inspection.path, metadata, inspection.weights.get(""))
            members[directory, metadata.base_name].append(member)
        elif (
            inspection.name is not None
            and inspection.legacy is None
            and (directory, inspection.name.base_name) not in adapters
        ):
            unread[directory, inspection.name.base_name][inspection.name] = inspection.path
    return [
        CheckpointSet(directory, base_name, tuple(members[directory, base_name]), unread[directory, base_name])
        for directory, base_name in sorted(members.keys() | unread.keys())
    ]


def grouped(members: Sequence[Member], value_of: Callable[[GeneratorMetadata], Value]) -> dict[Value, list[Member]]:
    """Files by what they say, the most common first."""
    groups: defaultdict[Value, list[Member]] = defaultdict(list)
    for member in members:
        groups[value_of(member.metadata)].append(member)
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def listed(members: Sequence[Member]) -> str:
    """Files in a few words: `3 files, vae_unified_node0.pt … vae_unified_node2.pt`."""
    names = [member.path.name for member in members]
    return names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} … {names[-1]}"


def most_common(values: Iterable[Value]) -> Value:
    """The value that is there most often; the first of several."""
    return Counter(values).most_common(1)[0][0]


def _rank(member: Member) -> tuple[bool, int, bool]:
    metadata = member.metadata
    return metadata.final, metadata.round, metadata.name.filename == member.path.name
