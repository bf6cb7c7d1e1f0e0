"""What the verifier has found, and what mends it; and what else the run warns of."""

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Part, Section, Table, Text, name_cell
from feda2v_cli.verifier.codes import CODES


def findings(run: RunContent) -> Section | None:
    """Findings with their remedies, what went wrong, and warnings."""
    parts: list[Part] = []
    error = run.record.error or {}
    if error:
        code = str(error.get("code", ""))
        told = f"{error.get('message')} ({code})" if code in CODES else str(error.get("message"))
        parts.append(Text(f"The run failed: {told}", is_warning=True, command=str(error.get("hint") or "")))
        if code in CODES:
            parts.append(Text(f"{code} {CODES[code].name}. {CODES[code].meaning} What to do: {CODES[code].remedy}"))
    if run.history.findings:
        rows = [
            tuple(
                map(name_cell, (found["code"], _name(found["code"]), found["severity"], found["path"], found["message"],
                                found["hint"] or _remedy(found["code"])))
            )
            for found in run.history.findings
        ]  # fmt: skip
        parts.append(
            Table(
                "What the verifier has found",
                ("code", "name", "severity", "about", "what is wrong", "what to do"),
                rows,
                (False,) * 6,
            )
        )
    if run.history.warnings:
        parts.append(Table("Warnings", ("warning",), [(name_cell(text),) for text in run.history.warnings], (False,)))
    return Section("Findings", parts) if parts else None


def _name(code: str) -> str:
    return CODES[code].name if code in CODES else ""


def _remedy(code: str) -> str:
    return CODES[code].remedy if code in CODES else ""
