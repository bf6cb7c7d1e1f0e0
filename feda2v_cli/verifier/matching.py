"""Which sets are meant, and what is wrong with them."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from feda2v_cli.checkpoint.name import SUFFIX, parse_name
from feda2v_cli.verifier.agreement import disagreements, same_weights_of_legacy
from feda2v_cli.verifier.coverage import gaps
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding
from feda2v_cli.verifier.inspection import Inspection, inspect_header
from feda2v_cli.verifier.mismatches import granularity_mismatch, mismatches
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, sets_of

_MOST_NAMED = 5
_MOST_SEARCHED = 100


def findings_of_sets(
    inspections: Sequence[Inspection], roots: Sequence[Path], expectation: Expectation, remedies: Remedies
) -> Iterator[Finding]:
    """What is wrong with sets: disagreements within them, gaps, and what was asked for and is not there.

    Args:
        inspections: the files.
        roots: the files and directories that were asked about. A file that is a root itself is no part of a set.
        expectation: what the sets are to be. It is held against the sets with its base name and granularity; when
            there is none, every set says why it is not the one.
        remedies: commands for the findings.
    """
    lone = {root for root in roots if not os.path.isdir(root)}
    sets = sets_of(inspection for inspection in inspections if inspection.path not in lone)
    parts = sets_of(inspection for inspection in inspections if inspection.path in lone)
    is_there = any(is_meant(checkpoints, expectation) for checkpoints in (*sets, *parts))
    for checkpoints in (*sets, *parts):
        yield from disagreements(checkpoints, remedies)
        if is_meant(checkpoints, expectation):
            yield from mismatches(checkpoints, expectation, remedies)
        elif not is_there:
            yield from _why_not(checkpoints, expectation, remedies)
    for checkpoints in sets:
        if is_meant(checkpoints, expectation):
            yield from gaps(checkpoints, expectation, remedies)
        elif is_there:
            yield from gaps(checkpoints, Expectation(), remedies)
    yield from same_weights_of_legacy(inspections, remedies)
    for root in roots:
        within = [inspection for inspection in inspections if _is_in(inspection.path, root)]
        holds_set = any(_is_in(checkpoints.directory, root) for checkpoints in sets)
        if not within:
            yield _not_found(root, expectation, remedies)
        elif not (holds_set or expectation.is_empty or root in lone):
            yield _only_legacy(root, within, expectation, remedies)


def _is_in(path: Path, root: Path) -> bool:
    return root in (path, *path.parents)


def is_meant(checkpoints: CheckpointSet, expectation: Expectation) -> bool:
    """Whether a set has the base name and the granularity that are expected."""
    return expectation.base_name in (None, checkpoints.base_name) and (
        expectation.granularity in (None, checkpoints.granularity) or checkpoints.granularity is None
    )


def _why_not(checkpoints: CheckpointSet, expectation: Expectation, remedies: Remedies) -> Iterator[Finding]:
    if checkpoints.granularity not in (None, expectation.granularity) and expectation.granularity is not None:
        yield from granularity_mismatch(checkpoints, expectation, remedies)
        return
    count = len(checkpoints.members) + len(checkpoints.unread)
    yield Finding(
        "FA002",
        str(checkpoints.directory),
        f"holds base name {checkpoints.base_name} ({count} {'file' if count == 1 else 'files'}), "
        f"{expectation.asks_for(expectation.base_name)}",
        hint=remedies.ask_for("--base-name", checkpoints.base_name, checkpoints.directory),
    )


def _not_found(root: Path, expectation: Expectation, remedies: Remedies) -> Finding:
    problem = _why_absent(root)
    instead = "; ".join(_instead(root)[:_MOST_NAMED])
    names = _names_in(root)
    parts = [problem, f"there are {names}" if names else "", instead or "there are no checkpoints beside it either"]
    return Finding(
        "FA001",
        str(root),
        "; ".join(part for part in parts if part),
        hint=remedies.train(expectation.granularity, expectation.directory, expectation.base_name, force=False),
    )


def _why_absent(root: Path) -> str:
    try:
        os.lstat(root)
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be reached — {error.strerror}"
    return "holds no checkpoint"


def _only_legacy(root: Path, within: Sequence[Inspection], expectation: Expectation, remedies: Remedies) -> Finding:
    legacy = sum(inspection.legacy is not None for inspection in within)
    count = f"{len(within)} other {'file' if len(within) == 1 else 'files'}"
    return Finding(
        "FA001",
        str(root),
        f"holds no generator that can be loaded: {count}, {legacy} of them of the earlier system",
        hint=remedies.train(expectation.granularity, expectation.directory, expectation.base_name, force=False),
    )


def _instead(root: Path) -> list[str]:
    """The directories beside a root that hold checkpoints; no deeper, for beside it may lie a whole disk."""
    try:
        beside = sorted(path for path in root.parent.iterdir() if path != root and path.is_dir())
        held = [(path, _base_names(path)) for path in beside[:_MOST_SEARCHED]]
    except OSError:
        return []
    return [
        f"{directory} holds {', '.join(f'{base} ({len(files)})' for base, files in sorted(bases.items()))}"
        for directory, bases in held
        if bases
    ]


def _base_names(directory: Path) -> dict[str, list[Path]]:
    """The checkpoints in a directory by base name; adapters are none that could be loaded instead."""
    bases: defaultdict[str, list[Path]] = defaultdict(list)
    for file in sorted(directory.iterdir()):
        if file.suffix == SUFFIX:
            name = parse_name(file.name)
            bases[file.stem if name is None else name.base_name].append(file)
    # One file tells for all of a name: a directory may hold thousands.
    return {base: files for base, files in bases.items() if inspect_header(files[0]).adapter is None}


def _names_in(root: Path) -> str:
    """The first few names in a directory without checkpoints."""
    try:
        shown = sorted(name for name in os.listdir(root) if not name.startswith("."))
    except OSError:
        return ""
    return ", ".join(shown[:_MOST_NAMED]) + (" …" if len(shown) > _MOST_NAMED else "")
