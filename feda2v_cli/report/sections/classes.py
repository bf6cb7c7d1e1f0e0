"""Which classes are confused, and which are recognised."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from feda2v_cli.privacy.interval import wilson
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Cell, Matrix, Part, Section, Span, Table, Text, name_cell, number_cell
from feda2v_cli.report.result import BASELINES

#: A matrix of more classes is not read, and would make a large page.
MOST_CLASSES = 60
MOST_CONFUSIONS = 100


def confusion(run: RunContent) -> Section | None:
    """The confusion matrix, and the confusions that are most frequent."""
    found = _confusion_of(run.record.summary)
    if found is None:
        return None
    names, counts = found
    parts: list[Part] = []
    if len(names) <= MOST_CLASSES:
        parts.append(Matrix(names, counts))
    else:
        parts.append(Text(f"The matrix of {len(names)} classes is too large for a page: these are its largest parts."))
    pairs = [
        (clips, clips / sum(row), name, other)
        for name, row in zip(names, counts, strict=True)
        for other, clips in zip(names, row, strict=True)
        if clips and name != other
    ]
    if pairs:
        pairs.sort(key=lambda pair: (-pair[0], -pair[1], pair[2]))
        rows = [
            (name_cell(name), name_cell(other), Cell(str(clips), clips), Cell(f"{share:.0%}", share))
            for clips, share, name, other in pairs[:MOST_CONFUSIONS]
        ]
        parts.append(
            Table(
                "Most frequent confusions",
                ("class", "taken for", "clips", "of the class"),
                rows,
                (False, False, True, True),
                folded=len(rows) > 10,
            )
        )
    return Section("Confusion matrix", parts)


def accuracy_by_class(run: RunContent) -> Section | None:
    """Accuracy of each class with its interval, the best first, beside that of the baselines."""
    found = _confusion_of(run.record.summary)
    if found is None:
        return _of_inner(run)
    names, counts = found
    others = _baselines(run.record.summary)
    rows = []
    for place, name in enumerate(names):
        clips, hits = sum(counts[place]), counts[place][place]
        if not clips:
            continue
        low, high = wilson(hits, clips)
        share = hits / clips
        rows.append(
            (
                name_cell(name),
                Cell(f"{share:.3f}", share, Span(share, low, high)),
                Cell(f"{low:.3f} to {high:.3f}", low),
                Cell(f"{hits} of {clips}", clips),
                *(number_cell(one.get(name)) for one in others.values()),
            )
        )
    rows.sort(key=lambda row: (-float(row[1].order or 0), str(row[0].text)))
    headings = ("class", "accuracy", "95 % interval", "clips", *(BASELINES.get(name, name) for name in others))
    figures = (False, *(True,) * (len(headings) - 1))
    return Section("Accuracy by class", [Table("Accuracy by class", headings, rows, figures, folded=False)])


def _of_inner(run: RunContent) -> Section | None:
    """Accuracy by class of each run that a comparison has made."""
    runs = {inner.record.title: own for inner in run.inner if (own := _confusion_of(inner.record.summary))}
    classes = sorted({name for names, _ in runs.values() for name in names})
    if not classes:
        return None
    rows = []
    for name in classes:
        cells = []
        for names, counts in runs.values():
            place = names.index(name) if name in names else None
            clips = sum(counts[place]) if place is not None else 0
            if place is None or not clips:
                cells.append(Cell("–"))
                continue
            share = counts[place][place] / clips
            cells.append(Cell(f"{share:.3f}", share, Span(share, *wilson(counts[place][place], clips))))
        rows.append((name_cell(name), *cells))
    rows.sort(key=lambda row: -fmean(float(cell.order) for cell in row[1:] if cell.order is not None))
    table = Table(
        "Accuracy by class, with its 95 % interval", ("class", *runs), rows, (False, *(True,) * len(runs)), folded=False
    )
    return Section("Accuracy by class", [table])


def _confusion_of(summary: Mapping[str, Any]) -> tuple[list[str], Sequence[Sequence[int]]] | None:
    names, counts = summary.get("classes"), summary.get("confusion")
    if not isinstance(names, list) or not isinstance(counts, list) or not names or len(names) != len(counts):
        return None
    whole = all(
        isinstance(row, list) and len(row) == len(names) and all(isinstance(clips, int) and clips >= 0 for clips in row)
        for row in counts
    )
    return ([str(name) for name in names], counts) if whole else None


def _baselines(summary: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    """Accuracy by class of each baseline."""
    baselines = summary.get("baselines")
    if not isinstance(baselines, dict):
        return {}
    return {
        str(name): one["per_class_accuracy"]
        for name, one in baselines.items()
        if isinstance(one, dict) and isinstance(one.get("per_class_accuracy"), dict)
    }
