"""Whatever a run says, as facts and tables: for what this page knows nothing more of."""

from collections.abc import Iterator, Mapping
from typing import Any

from feda2v_cli.report.parts import Cell, Facts, Part, Table, Text, name_cell, shown


def anything(caption: str, found: Any) -> Iterator[Part]:
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
            yield from anything(title, value)


def _objects(caption: str, objects: Mapping[str, Mapping[str, Any]]) -> Table:
    fields = list(dict.fromkeys(name for one in objects.values() for name in one))
    rows = [(name_cell(name), *(_cell(one.get(key)) for key in fields)) for name, one in objects.items()]
    figures = [all(row[place + 1].text == "–" or isinstance(row[place + 1].order, float) for row in rows)
               for place in range(len(fields))]  # fmt: skip
    return Table(caption, ("name", *(key.replace("_", " ") for key in fields)), rows, (False, *figures))


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
