"""The command `feda2v checkpoints`."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feda2v_cli.cli.options import (
    AsJson,
    BaseName,
    ConsoleOptions,
    GranularityName,
    NodeIds,
    ProfileName,
    Quiet,
    flags_of,
    granularity_in,
    node_ids,
    takes_options,
    words_in,
)
from feda2v_cli.cli.output import command_output
from feda2v_cli.cli.tables import size
from feda2v_cli.counted import counted
from feda2v_cli.errors import MissingError, UsageError
from feda2v_cli.verifier.finding import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from feda2v_cli.verifier.catalogue import Entry
    from feda2v_cli.verifier.expectation import Expectation
    from feda2v_cli.verifier.finding import Finding
    from feda2v_cli.verifier.verify import Report

app = typer.Typer(help="List and verify checkpoints.", no_args_is_help=True, rich_markup_mode=None)

Paths = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH", help="Files and directories.", show_default="checkpoints/")
]
_HEADINGS = ("node", "key", "classes", "round", "size", "encoder", "loss", "spread")
_CLASSES = _HEADINGS.index("classes")


@app.command("ls", epilog="Example: feda2v checkpoints ls checkpoints/generators_per_class")
def list_checkpoints(paths: Paths = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List checkpoints.

    Node, key, classes, round, size, encoder, loss, and the spread of samples at the end.
    """
    with command_output("checkpoints ls", ConsoleOptions(as_json, quiet)) as output:
        from feda2v_cli.paths import is_named
        from feda2v_cli.verifier.catalogue import catalogue
        from feda2v_cli.verifier.verify import DEFAULT_ROOT

        for path in paths or ():
            if not is_named(path):
                raise MissingError(f"{path} — no such file or directory", hint="feda2v checkpoints ls")
        roots = paths or [DEFAULT_ROOT]
        entries = catalogue(root for root in roots if is_named(root))
        if not entries:
            output.note(f"no checkpoints in {', '.join(map(str, roots))}")
        fields = [_fields(entry) for entry in entries]
        text = "" if as_json else "\n".join(_listing(entries, output.out.width))
        output.result({"checkpoints": fields}, *([text] if text else []))


def _fields(entry: "Entry") -> dict[str, Any]:
    """An entry as `--json` prints it; null is what the file does not say."""
    metadata, legacy, name = entry.metadata, entry.legacy, entry.name
    fields: dict[str, Any] = {
        "path": str(entry.path),
        "node": None if name is None else name.node,
        "key": None if name is None else name.key,
        "granularity": None if name is None else name.kind,
        "base_name": None if name is None else name.base_name,
        "classes": None,
        "round": None if name is None else name.round,
        "final": None if name is None else name.round is None,
        "bytes": entry.bytes,
        "generator_type": None,
        "encoder": None,
        "loss": None,
        "spread": None,
        "problem": entry.problem,
    }
    if metadata is not None:
        fields |= {
            "node": metadata.node_id,
            "key": metadata.generator_key,
            "granularity": metadata.generator_granularity,
            "base_name": metadata.base_name,
            "classes": list(metadata.generator_classes),
            "round": metadata.round,
            "final": metadata.final,
            "generator_type": metadata.generator_type,
            "encoder": metadata.encoder.get("name"),
            "loss": next(iter(metadata.final_losses.values()), None),
            "spread": (metadata.quality or {}).get("spread"),
        }
    if entry.adapter is not None:
        fields |= {
            "node": entry.adapter.node_id,
            "base_name": entry.adapter.base_name,
            "classes": entry.adapter.node_classes,
            "round": entry.adapter.round,
            "final": True,
            "generator_type": "adapter",
            "encoder": entry.adapter.encoder.get("name"),
        }
    if legacy is not None:
        fields |= {
            "node": legacy.node,
            "key": legacy.key,
            "granularity": legacy.granularity,
            "classes": list(legacy.classes),
            "round": legacy.round,
            "generator_type": legacy.generator_type,
            "encoder": legacy.encoder,
            "problem": legacy.summary,
        }
    return {key: printable(value) if isinstance(value, str) else value for key, value in fields.items()}


def _listing(entries: Sequence["Entry"], width: int) -> Iterator[str]:
    """The list as text, a directory after the other; files of which little is known say why."""
    for directory, group in itertools.groupby(entries, key=lambda entry: entry.path.parent):
        together = list(group)
        known = [_row(entry) for entry in together if entry.metadata is not None or entry.adapter is not None]
        yield printable(str(directory))
        rows = [_HEADINGS, *known]
        if not any(row[-1] for row in known):  # the spread is known at the end of training alone
            rows = [row[:-1] for row in rows]
        yield from _aligned(rows, width) if known else ()
        for entry in together:
            problem = _fields(entry)["problem"]
            if problem:
                yield printable(f"  {entry.path.name} — {problem}")


def _row(entry: "Entry") -> tuple[str, ...]:
    fields = _fields(entry)
    loss = "" if fields["loss"] is None else f"{fields['loss']:.4g}"
    end = f"{fields['round']} final" if fields["final"] else str(fields["round"])
    node = "server" if fields["node"] is None else fields["node"]
    words = (node, fields["key"] or "", " ".join(fields["classes"]), end, size(fields["bytes"]))
    spread = f"{fields['spread']:.2f}" if isinstance(fields["spread"], float) else ""
    return (*map(str, words), str(fields["encoder"]), loss, spread)


def _aligned(rows: Sequence[tuple[str, ...]], width: int) -> Iterator[str]:
    """Rows as lines with aligned columns. Rich's tables take half a second for a thousand rows."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    spare = width - sum(widths) - 2 * len(widths)
    widths[_CLASSES] = max(len(_HEADINGS[_CLASSES]), widths[_CLASSES] + min(0, spare))
    for row in rows:
        cells = (_cut(cell, space).ljust(space) for cell, space in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


@dataclass(frozen=True)
class ExpectedOptions:
    """What checkpoints are expected."""

    profile: ProfileName = None
    granularity: GranularityName = None
    base_name: BaseName = None
    nodes: NodeIds = None
    classes: Annotated[
        str | None,
        typer.Option("--classes", metavar="dog,cow", help="Classes that must be covered.", show_default=False),
    ] = None


@app.command("verify", epilog="Example: feda2v checkpoints verify --profile per_class --deep")
@takes_options
def verify_checkpoints(
    paths: Paths = None,
    *,
    expected: ExpectedOptions,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also load the tensors, and draw samples.", show_default=False)
    ] = False,
    permissive: Annotated[
        bool, typer.Option("--permissive", help="Warn of what a run can live with.", show_default=False)
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="CODE", help="Say what a code means and what to do.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check checkpoints before a run does.

    Exits with 1 when there is an error. With a profile: what a run of it would load. Without: every directory under
    checkpoints/.
    """
    with command_output("checkpoints verify", ConsoleOptions(as_json, quiet)) as output:
        if explain is not None:
            from feda2v_cli.verifier.codes import meaning_of

            meaning = meaning_of(explain)
            output.result(meaning.to_dict(), meaning.text)
            return
        from feda2v_cli.verifier.finding import FindingsError
        from feda2v_cli.verifier.verify import verify

        report = verify(paths or (), _expectation(expected), deep=deep, permissive=permissive)
        data = {
            "checked": report.checked,
            "errors": report.errors,
            "warnings": report.warnings,
            "findings": [finding.to_dict() for finding in report.findings],
        }
        if as_json and report.errors:
            output.fail(FindingsError(report.findings), data)
        output.result(data, *_tables(report.findings), _verdict(report))
        if report.errors:
            raise typer.Exit(FindingsError.exit_code)


def _expectation(expected: ExpectedOptions) -> "Expectation":
    """What the options say is expected."""
    from feda2v_cli.verifier.expectation import Expectation, ExpectedNode

    nodes = node_ids(expected.nodes)
    classes = tuple(dict.fromkeys(filter(None, words_in(expected.classes or ""))))
    if expected.profile is None:
        wanted = tuple(map(ExpectedNode, nodes or ()))
        granularity = granularity_in(expected.granularity)
        return Expectation(granularity=granularity, base_name=expected.base_name, nodes=wanted, classes=classes)
    from feda2v_cli.profile.load import load_profile

    loaded = load_profile(expected.profile, flags=flags_of(expected))
    strange = set(nodes or ()) - {node.id for node in loaded.profile.nodes}
    if strange:
        ids = ", ".join(str(node.id) for node in loaded.profile.nodes)
        raise UsageError(f"--nodes {min(strange)} — profile {expected.profile} has nodes {ids}")
    of_profile = Expectation.from_profile(loaded, expected.profile, nodes)
    return replace(of_profile, classes=classes or of_profile.classes)


def _tables(findings: Sequence["Finding"]) -> Iterator["RenderableType"]:
    """A table for each directory, the one with the most serious finding first, and the commands that mend them."""
    from rich.table import Table

    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.directory, []).append(finding)
    for directory, group in groups.items():
        table = Table(box=None, show_header=False, padding=(0, 0, 0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in group:
            file = "" if finding.path == directory else f"{printable(Path(finding.path).name)}\n"
            style = "red" if finding.is_error else "yellow"
            words = (finding.severity, f"{finding.code} {finding.name}", file + printable(finding.message))
            table.add_row(*words, style=style)
        yield f"{printable(directory)}:"
        yield table
    hints = dict.fromkeys(printable(finding.hint) for finding in findings if finding.hint)
    if hints:
        yield "\n".join(["to mend it:", *(f"  {hint}" for hint in hints)])


def _verdict(report: "Report") -> str:
    """The one line that says how it is."""
    counts = ((report.errors, "error"), (report.warnings, "warning"))
    found = [counted(count, word) for count, word in counts if count]
    return f"{counted(report.checked, 'checkpoint')} checked: {', '.join(found) or 'all sound'}"
