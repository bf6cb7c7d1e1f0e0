"""The command that mends a finding: it works when it is pasted."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.name import GeneratorName, Granularity
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.inspection import Inspection
from feda2v_cli.verifier.sets import CheckpointSet, Member


@dataclass(frozen=True)
class Remedies:
    """Commands for the findings of one verification.

    Attributes:
        expectation: what was expected; its profile becomes a part of the commands.
    """

    expectation: Expectation

    def train(
        self,
        granularity: Granularity | None,
        directory: Path | None = None,
        base_name: str | None = None,
        nodes: Iterable[int] = (),
        force: bool = True,
    ) -> str:
        """Train generators again."""
        from feda2v_cli.profile.generator_names import BASE_NAMES, GENERATOR_DIRS

        words = ["feda2v", "train-generators"]
        if self.expectation.profile is not None:
            # A profile for RUN 2 leaves granularity and groups to the checkpoints: it cannot train every granularity.
            granularity = granularity or self.expectation.granularity or "unified"
            if granularity != "per_group" or self.expectation.has_groups:
                words += ["--profile", self.expectation.profile]
        words += self._settings
        if granularity is not None:
            words += ["--granularity", granularity]
        if directory is not None and (granularity is None or directory != GENERATOR_DIRS[granularity]):
            words += ["--checkpoint-dir", str(directory)]
        if base_name is not None and (granularity is None or base_name != BASE_NAMES[granularity]):
            words += ["--base-name", base_name]
        ids = sorted(set(nodes))
        if ids:
            words += ["--nodes", ",".join(map(str, ids))]
        return shlex.join([*words, "--force"] if force else words)

    def train_again(self, checkpoints: CheckpointSet, members: Iterable[Member]) -> str:
        """Train the generators of the nodes of some files of a set again."""
        nodes = {member.metadata.node_id for member in members}
        return self.train(checkpoints.granularity, checkpoints.directory, checkpoints.base_name, nodes)

    def ask_for(self, option: str, value: str, directory: Path) -> str:
        """Ask for what is there."""
        profile = self.expectation.profile
        if profile is None:
            return shlex.join(["feda2v", "checkpoints", "verify", str(directory), option, value])
        words = ["feda2v", "federate", "--profile", profile, *self._settings, "--generators", str(directory)]
        return shlex.join([*words, option, value])

    def federate(self) -> str:
        """Train adapters again."""
        profile = [] if self.expectation.profile is None else ["--profile", self.expectation.profile]
        return shlex.join(["feda2v", "federate", *profile, *self._settings, "--force"])

    @property
    def _settings(self) -> list[str]:
        return [word for setting in self.expectation.settings for word in ("--set", setting)]

    def for_defect(self, inspection: Inspection, defect: Defect, all_files: Mapping[Path, Inspection]) -> str:
        """Mend what is wrong with one file."""
        path = str(inspection.path)
        if inspection.adapter is not None:
            return "feda2v federate --force"
        match defect.code:
            case "FA010":
                return "feda2v checkpoints verify --explain FA010"
            case "FA012":
                return self._rename(inspection, all_files)
            case "FA017":
                return "pip install --upgrade feda2v"
            case "FA020":
                return shlex.join(["feda2v", "evaluate", path])
        return self._train_generator_of(inspection)

    def remove(self, path: Path) -> str:
        """Remove a file."""
        return shlex.join(["rm", str(path)])

    def _rename(self, inspection: Inspection, all_files: Mapping[Path, Inspection]) -> str:
        if inspection.metadata is None:
            return self._train_generator_of(inspection)
        path, target = inspection.path, inspection.path.with_name(inspection.metadata.name.filename)
        other = all_files.get(target)
        if other is None:
            return shlex.join(["mv", str(path), str(target)])
        if other.metadata is not None and other.metadata.name.filename == path.name:
            # The same command for both files, so that nobody swaps them twice.
            first, second = sorted((path, target))
            aside = first.with_name(f"{first.name}.aside")
            steps: Sequence[tuple[Path, Path]] = ((first, aside), (second, first), (aside, second))
            return " && ".join(shlex.join(["mv", str(source), str(end)]) for source, end in steps)
        # The file that its metadata demand is there too: this one is a copy in the place of another generator.
        return self._train_name(inspection.name, inspection, path.parent)

    def _train_generator_of(self, inspection: Inspection) -> str:
        return self._train_name(
            inspection.metadata.name if inspection.metadata else inspection.name, inspection, inspection.path.parent
        )

    def _train_name(self, name: GeneratorName | None, inspection: Inspection, directory: Path) -> str:
        if name is None:
            return self.train(self.expectation.granularity, directory)
        metadata = inspection.metadata
        granularity = metadata.run_granularity if metadata else name.kind
        return self.train(granularity, directory, name.base_name, [name.node])
