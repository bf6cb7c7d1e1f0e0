"""What samples are worth, and what an attack finds of the clips that trained."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from feda2v_cli.quality.meanings import CLASS_FIGURES, MEANINGS
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Cell, Facts, Part, Section, Table, Text, name_cell, number_cell, shown


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
    parts = list(_anything("What an attack finds", found)) if isinstance(found, dict | list) else []
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


def _anything(caption: str, found: Any) -> Iterator[Part]:
    """Whatever a run says, as facts and tables: lists and mappings of objects are tables, the rest are facts."""
    if isinstance(found, list):
        rows = {str(place): one for place, one in enumerate(found, 1) if isinstance(one, dict)}
        if rows:
            yield _objects(caption, rows)
        elif found:
            yield Text("; ".join(map(str, found)))
        return
    facts = [(name, _plain(value)) for name, value in found.items() if not isinstance(value, dict | list)]
    if facts:
        yield Facts(facts)
    for name, value in found.items():
        title = name.replace("_", " ")
        if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()):
            yield _objects(title, value)
        elif isinstance(value, dict | list) and value:
            yield from _anything(title, value)


def _objects(caption: str, objects: Mapping[str, Mapping[str, Any]]) -> Table:
    fields = list(dict.fromkeys(name for one in objects.values() for name in one))
    rows = [(name_cell(name), *(_cell(one.get(key)) for key in fields)) for name, one in objects.items()]
    figures = [all(row[place + 1].text == "–" or isinstance(row[place + 1].order, float) for row in rows)
               for place in range(len(fields))]  # fmt: skip
    return Table(caption, ("", *(key.replace("_", " ") for key in fields)), rows, (False, *figures))


def _cell(value: Any) -> Cell:
    if isinstance(value, bool) or value is None or isinstance(value, str | list):
        return name_cell(_plain(value))
    if isinstance(value, dict):
        known = value.get("value")
        if not isinstance(known, int | float):
            return name_cell(", ".join(f"{key} {_plain(one)}" for key, one in value.items()))
        low, high = value.get("low"), value.get("high")
        interval = f" ({shown(low)} to {shown(high)})" if low is not None and high is not None else ""
        return Cell(f"{shown(known)}{interval}", float(known))
    return Cell(_plain(value), float(value))


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return shown(value)
    if isinstance(value, list):
        return "; ".join(map(_plain, value))
    return str(value)
