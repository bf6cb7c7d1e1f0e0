"""The command that mends a finding: it works when it is pasted, and changes no file but those that it names.

Generators are trained again as they were trained before: their checkpoints say which run wrote them, and the directory
of the run holds its whole profile. Where nobody can know that, the command says PROFILE in its place, and does nothing
until somebody puts it there.
"""

import json
import os
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomli

from feda2v_cli.checkpoint.defect import Defect, NotFetched
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.checkpoint.name import GeneratorName, Granularity, parse_name
from feda2v_cli.embedding.identity import without_names
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.inspection import Inspection
from feda2v_cli.verifier.sets import CheckpointSet, Member, Place

_UNKNOWN = "PROFILE"
#: Sections of a profile that say what generators are trained on, and how; where they go has options of its own.
_OF_TRAINING = {"data", "embedding", "generator", "nodes"}
#: Keys that have an option of their own, and what stands before their value.
_OPTIONS = {"generator.granularity": ("--granularity", ""), "checkpoint.base_name": ("--base-name", "")}
_NOTE = "  # PROFILE: the one that trained it; the files do not tell"


@dataclass(frozen=True)
class _Origin:
    """What a command needs to train something as it was trained.

    Attributes:
        words: options that name the profile.
        directory: where the command must run; None for here.
    """

    words: tuple[str, ...]
    directory: Path | None = None


@dataclass(frozen=True)
class Remedies:
    """Commands for the findings of one verification.

    Attributes:
        expectation: what was expected; its profile becomes a part of the commands.
    """

    expectation: Expectation

    def train_new(
        self,
        granularity: Granularity | None,
        directory: Path | None = None,
        base_name: str | None = None,
        nodes: Iterable[int] = (),
    ) -> str:
        """Train generators that are not there. The command overwrites nothing."""
        from feda2v_cli.profile.generator_names import BASE_NAMES, GENERATOR_DIRS

        words = ["feda2v", "train-generators", *(self._expected_words(granularity) or self._training_words)]
        granularity = granularity or self.expectation.granularity
        if granularity is None and self.expectation.profile is not None:
            granularity = "unified"
        if granularity is not None:
            words += ["--granularity", granularity]
        if directory is not None and (granularity is None or directory != GENERATOR_DIRS[granularity]):
            words += ["--checkpoint-dir", str(directory)]
        if base_name is not None and (granularity is None or base_name != BASE_NAMES[granularity]):
            words += ["--base-name", base_name]
        ids = sorted(set(nodes))
        if ids:
            words += ["--nodes", ",".join(map(str, ids))]
        return shlex.join(words)

    def train_missing(self, checkpoints: CheckpointSet, node: int, key: str | None, *, like_the_others: bool) -> str:
        """Train one generator that is not there. The command overwrites nothing.

        Args:
            checkpoints: the set that lacks it.
            node: its node.
            key: its class or group; None for unified.
            like_the_others: whether the others are what is expected: then it is trained as they were, where their run
                had the node with its classes.
        """
        here = checkpoints.by_node.get(node) or checkpoints.members
        origin = _origin_of([member.metadata for member in here]) if like_the_others else None
        if origin is not None and not self._has(origin, node):
            origin = None
        origin = origin or self._expected(checkpoints.granularity)
        return _train(origin, checkpoints.directory, checkpoints.base_name, {node: key and {key}})

    def _has(self, origin: _Origin, node: int) -> bool:
        """Whether a run had a node with the classes that are expected of it."""
        profile = tomli.loads(Path(origin.words[1]).read_text(encoding="utf-8"))
        held = {one["id"]: {*one.get("train_classes", one["classes"])} for one in profile["nodes"]}
        wanted = {one.id: {*(one.classes or ())} for one in self.expectation.nodes}
        return node in held and wanted.get(node, set()) <= held[node]

    def train_again(
        self,
        checkpoints: CheckpointSet,
        members: Sequence[Member],
        like: Sequence[Member] = (),
        *,
        as_expected: bool = False,
        final_alone: bool = False,
    ) -> str:
        """Train the generators of some files of a set again, and no others.

        Args:
            checkpoints: the set.
            members: the files.
            like: files of the set that are right, where these are to become like them.
            as_expected: whether they are to become what the expectation asks for.
            final_alone: whether the checkpoints of rounds stay as they are, whatever the files are.
        """
        final_alone = final_alone or all(member.metadata.final for member in members)
        together: defaultdict[_Origin, list[Member]] = defaultdict(list)
        for member in members:
            origin = None if as_expected else _origin_of([other.metadata for other in like or [member]])
            known = () if as_expected else [other.metadata for other in like or [member]]
            together[origin or self._expected(checkpoints.granularity, known)].append(member)
        return " && ".join(
            _train(
                origin,
                checkpoints.directory,
                checkpoints.base_name,
                _keys_of([member.place for member in some], checkpoints),
                force=True,
                final_alone=final_alone,
            )
            for origin, some in together.items()
        )

    def set_aside(self, checkpoints: CheckpointSet, members: Iterable[Member]) -> str:
        """Move files out of a set that no run of the set would write."""
        aside = checkpoints.directory / "other"
        paths = [str(member.path) for member in members]
        return f"{shlex.join(['mkdir', '-p', str(aside)])} && {shlex.join(['mv', '-n', *paths, str(aside)])}"

    def ask_for(self, key: str, value: str, directory: Path) -> str:
        """Ask for what is there.

        Args:
            key: of the profile.
            value: that it has there.
            directory: where the generators lie.
        """
        option = _OPTIONS.get(key, ("--set", f"{key}="))
        profile = self.expectation.profile
        if profile is None:
            return shlex.join(["feda2v", "checkpoints", "verify", str(directory), option[0], f"{option[1]}{value}"])
        others = self._words(lambda name: name != key)
        words = ["feda2v", "federate", "--profile", profile, *others, "--generators", str(directory)]
        return shlex.join([*words, option[0], f"{option[1]}{value}"])

    def federate(self) -> str:
        """Train adapters again."""
        profile = [] if self.expectation.profile is None else ["--profile", self.expectation.profile]
        return shlex.join(["feda2v", "federate", *profile, *self._words(), "--force"])

    @property
    def _training_words(self) -> list[str]:
        """The options beside the profile that say what generators are trained on, and how."""
        return self._words(lambda name: name.split(".")[0] in _OF_TRAINING and name != "generator.granularity")

    def _words(self, is_named: Callable[[str], bool] = lambda _: True) -> list[str]:
        """The options beside the profile.

        Args:
            is_named: whether a key of the profile is named.
        """
        root = self.expectation.data_root
        named = [setting for setting in self.expectation.settings if is_named(setting.partition("=")[0])]
        words = [] if root is None else ["--data-root", str(root)]
        return words + [word for setting in named for word in ("--set", setting)]

    def explain(self, code: str) -> str:
        """Say what can be done where no command can."""
        return shlex.join(["feda2v", "checkpoints", "verify", "--explain", code])

    def remove(self, path: Path) -> str:
        """Remove a file."""
        return shlex.join(["rm", str(path)])

    def for_defect(self, inspection: Inspection, defect: Defect, all_files: Mapping[Path, Inspection]) -> str:
        """Mend what is wrong with one file.

        Args:
            inspection: of the file.
            defect: what is wrong with it.
            all_files: that were looked at.
        """
        match defect.code:
            case "FA010" | "FA019":
                return self.explain(defect.code)
            case "FA012":
                return self._rename(inspection, defect, all_files)
            case "FA017":
                return "pip install --upgrade feda2v"
            case "FA020" | "FA022":
                metadata = inspection.metadata
                named = [] if metadata is None else ["--base-name", metadata.base_name]
                word = "evaluate" if defect.code == "FA020" else "audit"
                return shlex.join(["feda2v", word, str(inspection.path.parent), *named])
        if isinstance(defect, NotFetched):
            return shlex.join(["git", "lfs", "pull", "--include", str(inspection.path)])
        return self._make_again(inspection, inspection.metadata, defect, all_files)

    def _rename(self, inspection: Inspection, defect: Defect, all_files: Mapping[Path, Inspection]) -> str:
        metadata = inspection.metadata or inspection.adapter
        if metadata is None:
            return self.explain(defect.code)
        path, target = inspection.path, inspection.path.with_name(metadata.filename)
        other = all_files.get(target)
        if other is None and not os.path.lexists(target):
            return _move((path, target))
        demanded = (other.metadata or other.adapter) if other else None
        if demanded is not None and demanded.filename == path.name:
            # The same command for both files, so that nobody swaps them twice.
            first, second = sorted((path, target))
            aside = first.with_name(f"{first.name}.aside")
            return _move((first, aside), (second, first), (aside, second))
        # The file that its metadata demand is there too: this one is a copy in the place of another generator.
        return self._make_again(inspection, None, defect, all_files)

    def _make_again(
        self,
        inspection: Inspection,
        metadata: GeneratorMetadata | None,
        defect: Defect,
        all_files: Mapping[Path, Inspection],
    ) -> str:
        """Make the file again that should be where this one is.

        Args:
            inspection: of the file.
            metadata: of what should be there; None when its name alone tells.
            defect: what is wrong with it.
            all_files: that were looked at.
        """
        path, name = inspection.path, metadata.name if metadata else inspection.name
        beside = [other for other in all_files.values() if other.path.parent == path.parent and other.path != path]
        adapters = {other.adapter.base_name for other in beside if other.adapter is not None}
        if inspection.adapter is not None or (name is not None and metadata is None and name.base_name in adapters):
            profile = self.expectation.profile
            words = ["feda2v", "federate", "--profile", profile or _UNKNOWN]
            words += ["--checkpoint-dir", str(path.parent.with_name(f"{path.parent.name}_again"))]
            return shlex.join(words) + ("" if profile else _NOTE)
        if name is None:
            return self.explain(defect.code)
        others = [other.metadata for other in beside if other.metadata and other.metadata.base_name == name.base_name]
        if name.round is not None and _has_later(name, beside):
            return self.remove(path)
        known = [metadata] if metadata else [one for one in others if one.node_id == name.node] or others
        granularity = known[0].run_granularity if known else name.kind
        origin = _origin_of(known) or self._expected(granularity, known)
        expected = {key for one in known if one.node_id == name.node for key in one.expected_keys}
        keys = None if name.key is None or expected == {name.key} else [name.key]
        return _train(
            origin,
            path.parent,
            name.base_name,
            {name.node: keys},
            force=True,
            final_alone=name.round is None,
        )

    def _expected(self, granularity: Granularity | None, known: Iterable[GeneratorMetadata] = ()) -> _Origin:
        """What the expectation says of training; PROFILE where it is none of files that were trained on other data."""
        datasets = {node.id: node.dataset for node in self.expectation.nodes}
        differs = any(datasets.get(one.node_id, one.dataset_name) not in (None, one.dataset_name) for one in known)
        words = [] if differs else self._expected_words(granularity)
        if not words:
            return _Origin(("--profile", _UNKNOWN))
        wanted = granularity or self.expectation.granularity
        return _Origin((*words, *(("--granularity", wanted) if wanted else ())))

    def _expected_words(self, granularity: Granularity | None) -> list[str]:
        """Options that name the expectation's profile and its data; none when it cannot train the granularity."""
        expectation = self.expectation
        # A profile for RUN 2 leaves granularity and groups to the checkpoints: it cannot train every granularity.
        if expectation.profile is None or (
            (granularity or expectation.granularity) == "per_group" and not expectation.has_groups
        ):
            return []
        return ["--profile", expectation.profile, *self._training_words]


def _origin_of(known: Sequence[GeneratorMetadata]) -> _Origin | None:
    """The run that trained files, if its directory is still there and they agree on what it was to do."""
    alike = {(one.generator_type, one.dataset_name, str(without_names(one.encoder)), one.seed) for one in known}
    clips = {(one.node_id, one.node_fingerprint) for one in known}
    if len(alike) != 1 or len(clips) != len({node for node, _ in clips}):
        return None
    # The first: later ones may have trained a few of them again.
    for metadata in sorted(known, key=lambda metadata: metadata.timestamp):
        run = Path(metadata.run_directory or os.devnull)
        profile = run / "resolved.toml"
        try:
            ran_in = json.loads((run / "run.json").read_text(encoding="utf-8"))["directory"]
            here = os.path.samefile(ran_in, Path.cwd())
            if profile.is_file():
                beside = Path(os.path.relpath(profile)) if here else profile
                named = profile if beside.parts[0] == os.pardir else beside
                return _Origin(("--profile", str(named)), None if here else Path(ran_in))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # the run's directory, or that in which it ran, is on another machine or gone
    return None


def _train(
    origin: _Origin,
    directory: Path,
    base_name: str,
    keys: Mapping[int, Iterable[str] | None],
    *,
    force: bool = False,
    final_alone: bool = False,
) -> str:
    """The command that trains generators.

    Args:
        origin: what it takes.
        directory: where they lie.
        base_name: first part of their names.
        keys: of each node; None for all that the node has.
        force: whether they are there already.
        final_alone: whether the checkpoints of rounds stay as they are, where there are any.
    """
    together: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for node, some in sorted(keys.items()):
        together[tuple(sorted(some or ()))].append(node)
    place = directory if origin.directory is None else directory.absolute()
    commands = []
    for some, nodes in together.items():
        words = ["feda2v", "train-generators", *origin.words, "--checkpoint-dir", str(place), "--base-name", base_name]
        words += ["--nodes", ",".join(map(str, nodes)), *(["--keys", ",".join(some)] if some else [])]
        words += (
            ["--set", "checkpoint.every=0"] if final_alone and _has_rounds(directory, base_name, nodes, some) else []
        )
        commands.append(shlex.join([*words, *(["--force"] if force else [])]))
    command = " && ".join(commands)
    if origin.directory is not None:
        return f"(cd {shlex.quote(str(origin.directory))} && {command})"
    return command + (_NOTE if _UNKNOWN in origin.words else "")


def _has_rounds(directory: Path, base_name: str, nodes: Sequence[int], keys: Sequence[str]) -> bool:
    """Whether checkpoints of rounds lie there of generators that are to be trained again."""
    names = (parse_name(path.name) for path in directory.glob("*_round_*.pt"))
    return any(
        name is not None
        and name.round is not None
        and (name.base_name, name.node in nodes, name.key in keys or not keys) == (base_name, True, True)
        for name in names
    )


def _keys_of(places: Iterable[Place], checkpoints: CheckpointSet) -> dict[int, set[str] | None]:
    """The keys of generators by node; None where they are all that the node has."""
    keys: defaultdict[int, set[str | None]] = defaultdict(set)
    for node, key in places:
        keys[node].add(key)
    expected = {
        node: {key for member in members for key in member.metadata.expected_keys or (None,)}
        for node, members in checkpoints.by_node.items()
    }
    return {
        node: None if some >= expected.get(node, some) else {key for key in some if key is not None}
        for node, some in keys.items()
    }


def _has_later(name: GeneratorName, beside: Iterable[Inspection]) -> bool:
    """Whether a later checkpoint of the same generator is sound, so that nobody needs the one that is named."""
    for other in beside:
        metadata = other.metadata
        if metadata is None or other.defects or metadata.base_name != name.base_name:
            continue
        is_same = (metadata.node_id, metadata.generator_key) == (name.node, name.key)
        if is_same and (metadata.final or metadata.round > (name.round or 0)):
            return True
    return False


def _move(*steps: tuple[Path, Path]) -> str:
    """Give files other names. No file is ever overwritten."""
    return " && ".join(shlex.join(["mv", "-n", str(source), str(end)]) for source, end in steps)
