"""The verifier: everything that can be wrong with checkpoints, before a run finds out."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from feda2v_cli.atomic_write import is_leftover
from feda2v_cli.checkpoint.name import SUFFIX, parse_name
from feda2v_cli.counted import counted
from feda2v_cli.verifier.agreement import disagreements, same_weights_of_legacy
from feda2v_cli.verifier.catalogue import checkpoint_files, files_under, is_of_the_system
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding, FindingsError, most_serious_first
from feda2v_cli.verifier.inspection import Inspection, inspect, inspect_header
from feda2v_cli.verifier.mismatches import adapter_mismatches, gaps, is_meant, mismatches, why_not_meant
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import sets_of

#: Where generators lie when nobody says otherwise.
DEFAULT_ROOT = Path("checkpoints")
#: Files above this size are read by several threads at once: hashing frees the interpreter.
_LARGE_FILE_BYTES = 1 << 20
_MOST_THREADS = 8
#: What a message names of what is there instead, and where it looks for that.
_MOST_NAMED = 5
_MOST_SEARCHED = 100


@dataclass(frozen=True)
class Report:
    """What the verifier found.

    Attributes:
        checked: how many checkpoints were looked at.
        findings: most serious first.
    """

    checked: int
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.is_error for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors

    def raise_errors(self) -> None:
        """Refuse checkpoints with errors.

        Raises:
            FindingsError: there is at least one.
        """
        if self.errors:
            raise FindingsError([finding for finding in self.findings if finding.is_error])


def verify(
    paths: Sequence[Path] = (),
    expectation: Expectation | None = None,
    *,
    deep: bool = False,
    permissive: bool = False,
) -> Report:
    """Check checkpoints: each file, each set, and whether they are what is expected.

    Args:
        paths: files and directories, whole trees. None: where the expectation says, or every directory under
            `checkpoints/` that holds generators.
        expectation: what the checkpoints are to be; None for nothing but sound.
        deep: also load the tensors. Needs PyTorch.
        permissive: turn findings that a run can live with into warnings.
    """
    expectation = expectation or Expectation()
    remedies = Remedies(expectation)
    roots = [Path(path) for path in paths] or [expectation.directory or DEFAULT_ROOT]
    files = checkpoint_files(root for root in roots if os.path.lexists(root))
    inspections = inspect_all(files, deep=deep)
    findings = [
        *findings_of_files(inspections, remedies),
        *_leftovers(roots, remedies),
        *findings_of_sets(inspections, roots, expectation, remedies),
    ]
    if permissive:
        findings = [finding.as_lenient() for finding in findings]
    return Report(len(files), tuple(most_serious_first(findings)))


def inspect_all(files: Sequence[Path], *, deep: bool) -> list[Inspection]:
    """Check every byte of some files; the large ones by several threads."""
    large = [file for file in files if _size(file) > _LARGE_FILE_BYTES]
    threads = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
    try:
        inspected = dict(zip(large, threads.map(inspect, large), strict=True))
    finally:
        # After Ctrl-C nobody waits for the files that are not begun.
        threads.shutdown(cancel_futures=True)
    inspections = [inspected[file] if file in inspected else inspect(file) for file in files]
    return [_deepened(inspection) for inspection in inspections] if deep else inspections


def findings_of_files(inspections: Iterable[Inspection], remedies: Remedies) -> Iterator[Finding]:
    """What is wrong with single files."""
    by_path = {inspection.path: inspection for inspection in inspections}
    for path, inspection in by_path.items():
        for defect in inspection.defects:
            yield Finding.of(path, defect, remedies.for_defect(inspection, defect, by_path))


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
            yield from why_not_meant(checkpoints, expectation, remedies)
    for checkpoints in sets:
        if is_meant(checkpoints, expectation):
            yield from gaps(checkpoints, expectation, remedies)
        elif is_there:
            yield from gaps(checkpoints, Expectation(), remedies)
    yield from adapter_mismatches(inspections, expectation, remedies)
    yield from same_weights_of_legacy(inspections, remedies)
    for root in roots:
        within = [inspection for inspection in inspections if _is_in(inspection.path, root)]
        holds_set = any(_is_in(checkpoints.directory, root) for checkpoints in sets)
        if not within:
            yield _not_found(root, expectation, remedies)
        elif not (holds_set or expectation.is_empty or root in lone):
            yield no_generator(root, within, expectation, remedies)


def _is_in(path: Path, root: Path) -> bool:
    return root in (path, *path.parents)


def _deepened(inspection: Inspection) -> Inspection:
    """The same inspection after its tensors were looked at, unless its bytes are not sound."""
    if not inspection.is_whole:
        return inspection
    from feda2v_cli.verifier.tensors import check_file

    return replace(inspection, defects=(*inspection.defects, *check_file(inspection.path)))


def _leftovers(roots: Iterable[Path], remedies: Remedies) -> Iterator[Finding]:
    files = {file: None for root in roots if os.path.lexists(root) for file in files_under(root)}
    for file in files:
        if is_leftover(file.name):
            yield Finding(
                "FA018", str(file), "is a temporary file that a killed process left", hint=remedies.remove(file)
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
        hint=remedies.train_new(expectation.granularity, expectation.directory, expectation.base_name),
    )


def _why_absent(root: Path) -> str:
    try:
        os.lstat(root)
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be reached — {error.strerror}"
    return "holds no checkpoint"


def no_generator(root: Path, within: Sequence[Inspection], expectation: Expectation, remedies: Remedies) -> Finding:
    """FA001: a directory holds files, and none that could be loaded."""
    legacy = sum(inspection.legacy is not None for inspection in within)
    count = counted(len(within), "other file")
    return Finding(
        "FA001",
        str(root),
        f"holds no generator that can be loaded: {count}, {legacy} of them of the earlier system",
        hint=remedies.train_new(expectation.granularity, expectation.directory, expectation.base_name),
    )


def _instead(root: Path) -> list[str]:
    """The directories beside a root that hold checkpoints; no deeper, for beside it may lie a whole disk."""
    try:
        beside = sorted(
            path for path in root.parent.iterdir() if path != root and path.is_dir() and not is_of_the_system(path.name)
        )
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
        if file.suffix == SUFFIX and not is_of_the_system(file.name):
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


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
