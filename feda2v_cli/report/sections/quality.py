"""What samples are worth, and what an attack finds of the clips that trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from feda2v_cli.quality.meanings import CLASS_FIGURES, MEANINGS
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Cell, Part, Section, Table, Text, name_cell, number_cell, shown
from feda2v_cli.report.sections.anything import anything


def quality(run: RunContent) -> Section | None:
    """Figures of a set of generators beside floor and baseline, of each class, and of each generator."""
    summary = run.record.summary
    overall, per_class = summary.get("overall"), summary.get("per_class")
    try:
        parts: list[Part] = []
        if isinstance(overall, dict):
            parts.append(_overall(overall))
        if isinstance(per_class, dict):
            parts.append(_per_class(per_class))
        if isinstance(summary.get("checkpoints"), list):
            parts.append(_generators(summary["checkpoints"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        parts = [Text("What summary.json says of the generators cannot be read.", is_warning=True)]
    return Section("Quality of the generators", parts) if parts else None


def attacks(run: RunContent) -> Section | None:
    """What an attack finds."""
    found = run.record.summary.get("audit")
    parts = list(anything("What an attack finds", found)) if isinstance(found, dict | list) else []
    return Section("What an attack finds", parts) if parts else None


def _overall(figures: Mapping[str, Any]) -> Table:
    rows = []
    for name, figure in figures.items():
        one = figure or {}
        value, low, high = (one.get(key) for key in ("value", "low", "high"))
        interval = Cell("–") if value is None or name == "trtr" else Cell(f"{shown(low)} to {shown(high)}", low)
        floor, baseline = number_cell(one.get("floor")), number_cell(one.get("baseline"))
        rows.append(
            (name_cell(name.upper() if name in _ABBREVIATIONS else name), number_cell(value), interval, floor, baseline,
             name_cell(MEANINGS.get(name, "")))
        )  # fmt: skip
    return Table(
        "Samples beside clips: the floor is what real clips reach in the samples' place, the baseline what Gaussians "
        "of the same clips reach",
        ("figure", "value", "95 % interval", "floor", "baseline", "what it is"),
        rows,
        (False, True, True, True, True, False),
    )


_ABBREVIATIONS = ("tstr", "trtr", "kad", "fad")


def _per_class(per_class: Mapping[str, Any]) -> Table:
    figures = [name for name in CLASS_FIGURES if any(name in one for one in per_class.values())]
    rows = [
        (name_cell(name), *(number_cell((one.get(figure) or {}).get("value")) for figure in figures))
        for name, one in per_class.items()
    ]
    headings = [name.upper() if name in _ABBREVIATIONS else name for name in figures]
    return Table("Samples by class", ("class", *headings), rows, (False, *(True,) * len(figures)))


def _generators(checkpoints: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            name_cell(str(one["path"]).rpartition("/")[2]),
            Cell(str(one["node"]), one["node"]),
            name_cell(str(one["key"] or "")),
            name_cell(", ".join(map(str, one["classes"]))),
            Cell(str(one["round"]), one["round"]),
            Cell(f"{one['parameters']:,}", one["parameters"]),
            Cell(f"{one['bytes'] / 1e6:.1f} MB", one["bytes"]),
            number_cell(one["loss"]),
        )
        for one in checkpoints
    ]
    return Table(
        "Checkpoints that were written",
        ("checkpoint", "node", "key", "classes", "round", "parameters", "size", "loss"),
        rows,
        (False, True, False, False, True, True, True, True),
    )
