"""Loading a whole set, all or nothing: every generator that a run needs is there and sound, or none is loaded."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.file import load_content
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.errors import UsageError
from feda2v_cli.verifier.agreement import same_weights
from feda2v_cli.verifier.catalogue import checkpoint_files
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding, FindingsError
from feda2v_cli.verifier.inspection import Inspection, inspect, inspect_header, other_basis, weights_of
from feda2v_cli.verifier.mismatches import is_meant
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, Place, sets_of
from feda2v_cli.verifier.tensors import check_state
from feda2v_cli.verifier.verify import findings_of_files, findings_of_sets, no_generator

if TYPE_CHECKING:
    from torch import Tensor

    from feda2v_cli.generator.generator import Generator

    Loaded = tuple[GeneratorMetadata, dict[str, Tensor]]


def load_generators(
    directory: Path | str, expectation: Expectation | None = None
) -> "list[tuple[GeneratorMetadata, Generator]]":
    """All generators of a set, node by node: either every one that is expected is there and sound, or none is loaded.

    Args:
        directory: where the set lies.
        expectation: what it is to be; None for the one set that is there.

    Raises:
        FindingsError: something that is needed is missing or not sound.
        UsageError: the directory holds several sets that would do.
    """
    from feda2v_cli.generator.rebuild import rebuild

    return [
        (metadata, rebuild(metadata.architecture, metadata.generator_classes, state))
        for metadata, state in load_set(Path(directory), expectation)
    ]


def load_set(
    directory: Path,
    expectation: Expectation | None = None,
    *,
    permissive: bool = False,
    on_warning: Callable[[Finding], None] | None = None,
) -> "list[Loaded]":
    """Load the generators in a directory: of each the final checkpoint, or else that of the last round.

    Args:
        directory: where the set lies.
        expectation: what it is to be; its nodes are what is loaded. None for the one set that is there.
        permissive: whether findings that a run can live with are warnings.
        on_warning: is told every warning.

    Returns:
        Metadata and tensors of every generator, by node and key.

    Raises:
        FindingsError: something that is needed is missing or not sound.
        UsageError: the directory holds several sets that would do.
    """
    expectation = expectation or Expectation()
    remedies = Remedies(expectation)

    def stop_at_errors(findings: Iterable[Finding]) -> None:
        judged = [finding.as_lenient() if permissive else finding for finding in findings]
        errors = [finding for finding in judged if finding.is_error]
        if errors:
            raise FindingsError(errors)
        for finding in judged:
            if on_warning is not None:
                on_warning(finding)

    inspections = [inspect_header(path) for path in checkpoint_files([directory]) if path.parent == directory]
    sets = sets_of(inspections)
    meant = [checkpoints for checkpoints in sets if is_meant(checkpoints, expectation)]
    if not meant and permissive and len(sets) == 1:
        meant = [found for found in sets if is_meant(found, replace(expectation, base_name=found.base_name))]
    if len(meant) > 1:
        raise UsageError(
            f"{directory} holds {len(meant)} sets of generators: {', '.join(found.base_name for found in meant)}",
            hint=f"--base-name {meant[0].base_name}",
        )
    inspections = _chosen(inspections, sets, expectation if meant else Expectation(), meant)
    stop_at_errors(
        [
            *findings_of_files(inspections, remedies),
            *findings_of_sets(inspections, [directory], expectation, remedies),
        ]
    )
    loaded: list[Loaded] = []
    members: list[Member] = []
    findings: list[Finding] = []
    current = [
        member
        for found in meant
        for member in found.current.values()
        if _is_needed(member.place, expectation) and _is_wanted(member, expectation)
    ]
    for member in sorted(current, key=lambda member: (member.place[0], member.place[1] or "")):
        try:
            content, state = load_content(member.path, GeneratorMetadata)
            defects = [*other_basis(content), *check_state(content.metadata, state)]
        except Defect as defect:
            defects = [defect]
        else:
            loaded.append((content.metadata, state))
            members.append(Member(member.path, content.metadata, weights_of(content)))
        damaged = Inspection(member.path, metadata=member.metadata, defects=tuple(defects))
        findings += findings_of_files([damaged], remedies)
    if not loaded and not findings:
        findings.append(no_generator(directory, inspections, expectation, remedies))
    findings += [twin for found in meant for twin in same_weights(replace(found, members=tuple(members)), remedies)]
    stop_at_errors(findings)
    return loaded


def errors_of(found: CheckpointSet, expectation: Expectation) -> list[Finding]:
    """What would stop a run that takes a set; every byte of the files that it would take is checked.

    Args:
        found: the set. Others in its directory have no say.
        expectation: what it is to be.
    """
    remedies = Remedies(expectation)
    paths = sorted(path for place, path in found.chosen.items() if _is_needed(place, expectation))
    inspections = [inspect(path) for path in paths]
    findings = [
        *findings_of_files(inspections, remedies),
        *findings_of_sets(inspections, [found.directory], expectation, remedies),
    ]
    return [finding for finding in findings if finding.is_error]


def _chosen(
    inspections: Sequence[Inspection],
    sets: Sequence[CheckpointSet],
    expectation: Expectation,
    meant: Sequence[CheckpointSet],
) -> list[Inspection]:
    """The files that a run would take, and those of the earlier system that are named like them.

    Args:
        inspections: all files of a directory.
        sets: their sets.
        expectation: says which nodes are needed.
        meant: the sets that a run would take; none for all that there are.
    """
    taken = {path for found in meant or sets for place, path in found.chosen.items() if _is_needed(place, expectation)}
    in_sets = {path for found in sets for path in found.paths}
    names = {found.base_name for found in meant}

    def is_beside(inspection: Inspection) -> bool:
        name = inspection.name
        if inspection.path in in_sets or not meant:
            return inspection.path not in in_sets
        return name is not None and name.base_name in names and _is_needed((name.node, name.key), expectation)

    chosen = [inspection for inspection in inspections if inspection.path in taken or is_beside(inspection)]
    # Those of the earlier system are never loaded: what is wrong with them is told now or not at all.
    return [inspect(inspection.path) if inspection.legacy else inspection for inspection in chosen]


def _is_wanted(member: Member, expectation: Expectation) -> bool:
    """Whether a generator makes something that is asked for, where generators stand for classes."""
    return not expectation.by_class or bool(set(member.metadata.generator_classes) & set(expectation.classes))


def _is_needed(place: Place, expectation: Expectation) -> bool:
    wanted = {expected.id for expected in expectation.nodes}
    return not wanted or place[0] in wanted
