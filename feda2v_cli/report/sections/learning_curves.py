"""Learning curves: loss of every round and node; accuracy of every round, node and baseline."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.history import ALL_NODES, HELD_OUT, Curve
from feda2v_cli.report.parts import Cell, Chart, Line, Part, Section, Table, name_cell, number_cell, shown
from feda2v_cli.report.result import BASELINES
from feda2v_cli.report.thinning import thin

#: Points of all lines of a chart: more of them make a page large and slow, and no line on a screen is wider.
MOST_POINTS, MOST_POINTS_OF_A_LINE, FEWEST_POINTS_OF_A_LINE = 20_000, 800, 40
#: Of more lines than this only some are shown at first: those that end lowest and highest.
MOST_LINES_SHOWN, FIRST_SHOWN = 24, 5

_TITLES = {"training": "Training", "loss": "Loss", "accuracy": "Accuracy on clips held out"}
#: Where chance would have a value that is as good as it gets.
_BEST = {"training": "lowest", "loss": "lowest", "accuracy": "highest"}

Points = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def learning_curves(run: RunContent) -> Section | None:
    """A chart of each loss and of the accuracy, and a table of the nodes beside the baselines.

    Of a run that has made others, like a comparison, there is one line for each of them.
    """
    charts: dict[tuple[str, str], dict[str, Points]] = {}
    for (kind, what, line), curve in run.history.curves.items():
        charts.setdefault((kind, what), {})[line] = curve.points()
    for inner in run.inner:
        for (kind, what, line), curve in inner.history.curves.items():
            if line == ALL_NODES:
                charts.setdefault((kind, what), {})[inner.record.title] = curve.points()
    names = sorted({name for lines in charts.values() for name in lines}, key=_order)
    looks = {name: look for look, name in enumerate(names)}
    parts: list[Part] = []
    for (kind, what), lines in sorted(charts.items(), key=lambda chart: list(_TITLES).index(chart[0][0])):
        parts += _chart(kind, what, lines, looks)
    nodes = _nodes(run)
    return Section("Learning curves", [*parts, *([nodes] if nodes else [])]) if parts or nodes else None


def accuracy_of_runs(runs: Sequence[tuple[str, RunContent]]) -> list[Part]:
    """The accuracy of several runs in one chart; nothing when fewer than two have one."""
    lines: dict[str, Curve] = {}
    for name, run in runs:
        curve = run.history.curves.get(("accuracy", "", ALL_NODES))
        if curve is not None:
            lines[name] = curve
    looks = {name: look for look, name in enumerate(lines)}
    points = {name: curve.points() for name, curve in lines.items()}
    return _chart("accuracy", "", points, looks) if len(lines) > 1 else []


def _chart(kind: str, what: str, lines: Mapping[str, Points], looks: Mapping[str, int]) -> list[Part]:
    names = sorted(lines, key=looks.__getitem__)
    shown_first = _shown_first(names, lines)
    most = min(MOST_POINTS_OF_A_LINE, max(FEWEST_POINTS_OF_A_LINE, MOST_POINTS // len(names)))
    title = f"{_TITLES[kind]}: {what}" if what else _TITLES[kind]
    thinned, drawn = False, []
    for name in names:
        rounds, values = lines[name]
        kept = thin(rounds, values, most)
        thinned |= len(kept) < len(rounds)
        drawn.append(
            Line(
                name,
                rounds[kept].tolist(),
                values[kept].tolist(),
                looks[name],
                is_main=name == ALL_NODES,
                is_shown=name in shown_first,
            )
        )
    remarks = []
    if len(shown_first) < len(names):
        remarks.append(
            f"Of {len(names)} lines those are shown that end lowest and highest; the others can be switched on."
        )
    if thinned:
        remarks.append("Lines are thinned to what a screen can show; every peak and dip is kept.")
    table = _table(kind, title, names, lines)
    first, last = min(int(one[0][0]) for one in lines.values()), max(int(one[0][-1]) for one in lines.values())
    alternative = (
        f"Chart of {title[0].lower()}{title[1:]} by round, from {first} to {last}, {len(names)} lines. "
        f"The table after it holds their first, {_BEST[kind]} and last values."
    )
    unit = "accuracy" if kind == "accuracy" else "loss"
    if first == last:
        return [table]  # points above each other are no curve
    return [Chart(title, alternative, "round", unit, drawn, remark=" ".join(remarks)), table]


def _table(kind: str, title: str, names: Sequence[str], lines: Mapping[str, Points]) -> Table:
    rows = []
    for name in names:
        rounds, values = lines[name]
        best = int(values.argmin() if _BEST[kind] == "lowest" else values.argmax())
        rows.append(
            (
                name_cell(name),
                number_cell(float(values[0])),
                Cell(f"{shown(float(values[best]))} in round {rounds[best]}", float(values[best])),
                number_cell(float(values[-1])),
                Cell(str(rounds[-1]), int(rounds[-1])),
            )
        )
    headings = ("line", "first", _BEST[kind], "last", "rounds")
    return Table(f"{title}, in figures", headings, rows, (False, True, True, True, True), folded=len(rows) > 6)


def _order(name: str) -> tuple[int, list[tuple[int, str]]]:
    """All nodes together first, what they are held against next, then node by node."""
    place = 0 if name == ALL_NODES else 1 if name == HELD_OUT else 2 if name.startswith("baseline ") else 3
    return place, [(int(word), "") if word.isdecimal() else (-1, word) for word in name.split()]


def _shown_first(names: Sequence[str], lines: Mapping[str, Points]) -> set[str]:
    if len(names) <= MOST_LINES_SHOWN:
        return set(names)
    of_nodes = sorted((name for name in names if _order(name)[0] == 3), key=lambda name: float(lines[name][1][-1]))
    return {name for name in names if _order(name)[0] < 3} | {*of_nodes[:FIRST_SHOWN], *of_nodes[-FIRST_SHOWN:]}


def _nodes(run: RunContent) -> Table | None:
    """Accuracy of each node with this run's adapters and with those of the baselines: which node gains."""
    final, baselines = run.record.summary.get("final"), run.record.summary.get("baselines")
    if not isinstance(final, dict) or not isinstance(baselines, dict) or not baselines:
        return None
    try:
        own = final["node_accuracy"]
        others = {name: one["node_accuracy"] for name, one in baselines.items()}
        against = "fedavg" if "fedavg" in others else next(iter(others))
        rows = []
        for node, accuracy in own.items():
            values = [accuracy, *(one.get(node) for one in others.values())]
            before = others[against].get(node)
            gain = None if accuracy is None or before is None else accuracy - before
            gained = Cell("–" if gain is None else f"{gain:+.3f}", gain)
            rows.append((Cell(f"node {node}", _number(node)), *map(number_cell, values), gained))
    except (KeyError, TypeError, AttributeError):
        return None
    names = [BASELINES.get(name, name) for name in others]
    return Table(
        "Which node gains",
        ("node", "this run", *names, f"gain over {BASELINES.get(against, against)}"),
        rows,
        (False, *(True,) * (len(names) + 2)),
    )


def _number(text: str) -> float | str:
    return int(text) if text.isdecimal() else text
