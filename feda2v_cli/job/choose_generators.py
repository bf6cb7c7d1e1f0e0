"""Which set of generators a run takes when nobody names a directory: the sets there are, and asking which."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from feda2v_cli.errors import UsageError
from feda2v_cli.paths import is_directory
from feda2v_cli.verifier.catalogue import checkpoint_files, generator_sets
from feda2v_cli.verifier.inspection import inspect_header
from feda2v_cli.verifier.sets import CheckpointSet, sets_of


def sets_under(root: Path) -> list[CheckpointSet]:
    """The sets of generators under a directory. Their headers alone are read.

    Args:
        root: where to look; it need not be there.
    """
    directories = generator_sets(root) if is_directory(root) else []
    inspections = [inspect_header(path) for path in checkpoint_files(directories) if path.parent in directories]
    return [found for found in sets_of(inspections) if found.members]


def naming_command(found: CheckpointSet, words: Sequence[str]) -> str:
    """The command that takes one set and no other.

    Args:
        found: the set.
        words: of the command, up to the directory.
    """
    return shlex.join(["feda2v", *words, str(found.directory), "--base-name", found.base_name])


def several_sets(root: Path, choices: Sequence[str], hint: str, would: str = "") -> UsageError:
    """The error that asks which of several sets is meant.

    Args:
        root: where they are.
        choices: the command for each.
        hint: the command to type for the first.
        would: what they are good for, as ` would do`.
    """
    return UsageError(f"{len(choices)} sets of generators under {root}/{would}: say which", choices, hint=hint)
