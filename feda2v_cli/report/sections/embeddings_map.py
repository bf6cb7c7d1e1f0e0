"""The map of embeddings: clips and samples by class."""

from typing import Any

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Chart, Line, Section


def embeddings_map(run: RunContent) -> Section | None:
    """Clips held out and samples on the two axes along which clips vary most; of a comparison, one map for each."""
    charts = [_chart("Clips and samples", run.record.summary.get("map"))]
    for inner in run.inner:
        title = f"Clips and samples: {inner.record.title.removeprefix('evaluate-')}"
        charts.append(_chart(title, inner.record.summary.get("map")))
    found = [chart for chart in charts if chart is not None]
    return Section("Map of embeddings", found) if found else None


def _chart(title: str, drawn: Any) -> Chart | None:
    try:
        lines = [
            Line(
                f"{name}, {kind}",
                [float(x) for x, _ in pairs],
                [float(y) for _, y in pairs],
                look,
                is_hollow=kind == "samples",
            )
            for look, name in enumerate(drawn["clips"])
            for kind in ("clips", "samples")
            if (pairs := drawn[kind].get(name))
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # no map, or a damaged one
    if not lines:
        return None
    clips = sum(len(line.x) for line in lines if not line.is_hollow)
    samples = sum(len(line.x) for line in lines if line.is_hollow)
    alternative = (
        f"Map of {clips} clips held out, filled, and {samples} samples, hollow, of {len(drawn['clips'])} classes, "
        "each with its colour and shape. How far samples are from clips stands in figures under quality."
    )
    remark = "Embeddings on two principal axes: clips held out are filled, samples are hollow."
    return Chart(title, alternative, "", "", lines, "scatter", remark)
