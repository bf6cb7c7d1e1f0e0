"""The result of a run, in a sentence; and of a comparison its table."""

from collections.abc import Mapping, Sequence
from typing import Any

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Cell, Part, Section, Table, Text, name_cell, number_cell, shown


def result(run: RunContent) -> Section:
    """The result in a sentence."""
    parts: list[Part] = [Text(run.result.sentence, is_main=True)]
    rows = run.record.summary.get("table")
    if isinstance(rows, list):
        try:
            parts.append(_granularities(rows))
        except (KeyError, TypeError, ValueError, AttributeError):
            parts.append(Text("The table in summary.json cannot be read.", is_warning=True))
    return Section("Result", parts)


def _granularities(rows: Sequence[Mapping[str, Any]]) -> Table:
    shown_rows = []
    for row in rows:
        recall, kad = row["recall"], row["kad"]
        fewest, most = row["generators_per_node"]
        shown_rows.append(
            (
                name_cell(row["granularity"]),
                number_cell(row["accuracy"]),
                number_cell(row["tstr_share"]),
                Cell(f"{shown(recall['value'])} ({shown(recall['floor'])})", recall["value"]),
                Cell(f"{shown(kad['value'])} ({shown(kad['floor'])})", kad["value"]),
                name_cell(row["verdict"]),
                Cell(str(most) if fewest == most else f"{fewest} to {most}", most),
                Cell(f"{row['parameters_per_node'] / 1e6:.2f} M", row["parameters_per_node"]),
                Cell(f"{row['memory_bytes_per_node'] / 1e6:.0f} MB", row["memory_bytes_per_node"]),
                Cell(f"{row['disk_bytes_per_node'] / 1e6:.1f} MB", row["disk_bytes_per_node"]),
                Cell(f"{row['training_seconds']:.1f} s", row["training_seconds"]),
            )
        )
    return Table(
        "Granularities side by side",
        ("granularity", "accuracy", "TSTR / TRTR", "recall (floor)", "KAD (floor)", "verdict", "generators a node",
         "parameters a node", "memory a node", "disk a node", "training"),
        shown_rows,
        (False, *(True,) * 4, False, *(True,) * 5),
    )  # fmt: skip
