"""The verifier: everything that can be wrong with checkpoints, before a run finds out."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from feda2v_cli.atomic_write import is_leftover
from feda2v_cli.verifier.catalogue import checkpoint_files, files_under
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding, FindingsError, most_serious_first
from feda2v_cli.verifier.inspection import Inspection, inspect
from feda2v_cli.verifier.matching import findings_of_sets
from feda2v_cli.verifier.remedy import Remedies

#: Where generators lie when nobody says otherwise.
DEFAULT_ROOT = Path("checkpoints")
#: Files above this size are read by several threads at once: hashing frees the interpreter.
_LARGE_FILE_BYTES = 1 << 20
_MOST_THREADS = 8


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


def _deepened(inspection: Inspection) -> Inspection:
    """The same inspection after its tensors were looked at, unless its bytes are not sound."""
    if not inspection.weights:
        return inspection
    from feda2v_cli.verifier.tensors import check_file

    return replace(inspection, defects=(*inspection.defects, *check_file(inspection.path, inspection.metadata)))


def _leftovers(roots: Iterable[Path], remedies: Remedies) -> Iterator[Finding]:
    files = {file: None for root in roots if os.path.lexists(root) for file in files_under(root)}
    for file in files:
        if is_leftover(file.name):
            yield Finding(
                "FA018", str(file), "is a temporary file that a killed process left", hint=remedies.remove(file)
            )


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
