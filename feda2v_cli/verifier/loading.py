"""Loading a whole set, all or nothing: every generator that a run needs is there and sound, or none is loaded."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from feda2v_cli.checkpoint.defect import Defect
from feda2v_cli.checkpoint.file import load_content
from feda2v_cli.checkpoint.metadata import GeneratorMetadata
from feda2v_cli.checkpoint.name import GeneratorName, parse_name
from feda2v_cli.errors import UsageError
from feda2v_cli.verifier.agreement import same_weights
from feda2v_cli.verifier.catalogue import checkpoint_files
from feda2v_cli.verifier.expectation import Expectation
from feda2v_cli.verifier.finding import Finding, FindingsError
from feda2v_cli.verifier.inspection import Inspection, inspect_header, weights_of
from feda2v_cli.verifier.mismatches import is_meant
from feda2v_cli.verifier.remedy import Remedies
from feda2v_cli.verifier.sets import CheckpointSet, Member, sets_of
from feda2v_cli.verifier.tensors import check_state
from feda2v_cli.verifier.verify import findings_of_files, findings_of_sets

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

    inspections = [inspect_header(path) for path in _newest(directory)]
    sets = sets_of(inspections)
    meant = [checkpoints for checkpoints in sets if is_meant(checkpoints, expectation)]
    if not meant and permissive and len(sets) == 1:
        meant = [found for found in sets if is_meant(found, replace(expectation, base_name=found.base_name))]
    if len(meant) > 1:
        raise UsageError(
            f"{directory} holds {len(meant)} sets of generators: {', '.join(found.base_name for found in meant)}",
            hint=f"--base-name {meant[0].base_name}",
        )
    if meant:
        inspections = [inspection for inspection in inspections if _is_of(inspection, meant[0], expectation)]
    stop_at_errors(
        [
            *findings_of_files(inspections, remedies),
            *findings_of_sets(inspections, [directory], expectation, remedies),
        ]
    )
    if not meant:
        return []
    loaded: list[Loaded] = []
    members: list[Member] = []
    findings: list[Finding] = []
    for member in sorted(meant[0].current.values(), key=lambda member: (member.place[0], member.place[1] or "")):
        if not any(inspection.path == member.path for inspection in inspections):
            continue
        try:
            content, state = load_content(member.path, GeneratorMetadata)
            defects = check_state(content.metadata, state)
        except Defect as defect:
            defects = [defect]
        else:
            loaded.append((content.metadata, state))
            members.append(Member(member.path, content.metadata, weights_of(content)))
        damaged = Inspection(member.path, metadata=member.metadata, defects=tuple(defects))
        findings += findings_of_files([damaged], remedies)
    findings += same_weights(replace(meant[0], members=tuple(members)), remedies)
    stop_at_errors(findings)
    return loaded


def _newest(directory: Path) -> list[Path]:
    """Of each generator the file that a run would load, by the files' names."""
    newest: dict[tuple[object, ...], Path] = {}
    for path in checkpoint_files([directory]):
        name = parse_name(path.name)
        # Sorted by round with the final one last, so the last one stays.
        if path.parent == directory:
            newest[_generator(name) if name else (path.name,)] = path
    return list(newest.values())


def _generator(name: GeneratorName) -> tuple[object, ...]:
    return name.base_name, name.node, name.kind, name.key


def _is_of(inspection: Inspection, checkpoints: CheckpointSet, expectation: Expectation) -> bool:
    """Whether a file belongs to a set and to a node that is needed."""
    metadata, name = inspection.metadata, inspection.name
    if metadata is not None:
        base_name, node = metadata.base_name, metadata.node_id
    elif name is not None and inspection.legacy is None:
        base_name, node = name.base_name, name.node
    else:
        return False
    wanted = {expected.id for expected in expectation.nodes}
    return base_name == checkpoints.base_name and (not wanted or node in wanted)
