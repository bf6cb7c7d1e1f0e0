"""Which generators RUN 2 takes: those that the profile names, or the one usable set that there is."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.counted import counted
from feda2v_cli.errors import MissingError
from feda2v_cli.job.choose_generators import naming_command, sets_under, several_sets
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding, FindingsError
from feda2v_cli.verifier.loading import errors_of, load_set
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet
from feda2v_cli.verifier.verify import DEFAULT_ROOT

if TYPE_CHECKING:
    from torch import Tensor


#: Findings that nodes have no generators, or none of a class.
_OF_NODES = {"FA001", "FA004", "FA005"}


@dataclass(frozen=True)
class GeneratorSet:
    """Generators that are sound, and those that the run needs.

    Attributes:
        directory: where they lie.
        granularity: of the run that trained them.
        base_name: first part of their names.
        loaded: metadata and tensors of each, by node and key.
    """

    directory: Path
    granularity: str
    base_name: str
    loaded: "tuple[tuple[GeneratorMetadata, dict[str, Tensor]], ...]"

    def __str__(self) -> str:
        return f"{counted(len(self.loaded), f'{self.granularity} generator')} of {self.directory}"


def find_generators(
    expectation: Expectation,
    command: Sequence[str],
    on_warning: Callable[[Finding], None],
    root: Path = DEFAULT_ROOT,
) -> GeneratorSet:
    """Find and load the generators that a run needs; all of them or none.

    Args:
        expectation: of the run's profile; without a directory, the one usable set under `root` is taken.
        command: words of the command, for hints.
        on_warning: is told what the verifier warns of.
        root: where to look.

    Raises:
        MissingError: there are no generators at all.
        UsageError: several sets would do.
        FindingsError: generators are there and are not what the run needs.
    """
    directory = expectation.directory
    if directory is None:
        found = _choose_set(expectation, command, root)
        directory = found.directory
        expectation = replace(expectation, directory=directory, base_name=expectation.base_name or found.base_name)
    try:
        loaded = load_set(directory, expectation, on_warning=on_warning)
    except FindingsError as error:
        instead = _by_class_instead(error, directory, expectation)
        if instead is None:
            raise
        raise instead from error
    metadata = loaded[0][0]
    return GeneratorSet(directory, metadata.run_granularity, metadata.base_name, tuple(loaded))


def _by_class_instead(error: FindingsError, directory: Path, expectation: Expectation) -> FindingsError | None:
    """The same error with another way out, where the set makes all classes and other nodes have trained it."""
    if expectation.by_class or any(finding.code not in _OF_NODES for finding in error.findings):
        return None
    classes = tuple(sorted({name for node in expectation.nodes for name in node.classes or ()}))
    try:
        load_set(directory, replace(expectation, nodes=(), classes=classes, by_class=True))
    except FindingsError:
        return None
    hint = "--set synthetic.match=class takes generators by their classes, whatever nodes have trained them"
    return FindingsError([replace(finding, hint=hint) for finding in error.findings])


def _choose_set(expectation: Expectation, command: Sequence[str], root: Path) -> CheckpointSet:
    there = sets_under(root)
    sets = [found for found in there if expectation.base_name in (None, found.base_name)]
    if there and not sets:
        raise FindingsError([finding for found in there for finding in _errors(found, expectation)])
    if not sets:
        # The shipped profile of RUN 2 has no settings of RUN 1, whose own profiles have the same nodes.
        for_training = replace(expectation, profile=None) if expectation.profile == "use_pretrained" else expectation
        raise MissingError(
            f"no generators under {root}/ — the samples of other nodes' classes come from them",
            ["without samples: --synthetic-per-class 0"],
            hint=Remedies(for_training).train_new("unified", base_name=expectation.base_name),
        )
    if len(sets) == 1:
        return sets[0]
    judged = [(found, _errors(found, expectation)) for found in sets]
    usable = [found for found, errors in judged if not errors]
    if len(usable) == 1:
        return usable[0]
    if not usable:
        raise FindingsError([finding for _, errors in judged for finding in errors])
    words = [word for word in command if word != "--json"]
    raise several_sets(
        root,
        [
            naming_command(found, [*words, "--generators"])
            + f"   ({found.granularity}, {len(found.current)} generators)"
            for found in usable
        ],
        would=" would do",
        hint=shlex.join(["feda2v", *words, "--generators", str(usable[0].directory)]),
    )


def _errors(found: CheckpointSet, expectation: Expectation) -> list[Finding]:
    wanted = replace(expectation, directory=found.directory, base_name=expectation.base_name or found.base_name)
    return errors_of(found, wanted)
