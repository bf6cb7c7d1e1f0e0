"""Several runs side by side: what differs between their profiles, and their results."""

from collections.abc import Sequence

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Cell, Part, Section, Table, name_cell, number_cell
from feda2v_cli.report.quantities import duration_text, size
from feda2v_cli.report.sections.learning_curves import accuracy_of_runs
from feda2v_cli.report.settings import differing, text_of, values_of

#: Columns of figures that are not in the result.
_COSTS = ("took", "memory")


def side_by_side(runs: Sequence[tuple[str, RunContent]]) -> Section | None:
    """A table of the runs, a row each; nothing for a single run.

    Args:
        runs: each with the name that tells it apart.
    """
    if len(runs) < 2:
        return None
    figures = list(dict.fromkeys(name for _, run in runs for name in run.result.figures))
    values = [values_of(run.settings or ()) for _, run in runs]
    keys = differing(values)
    rows = []
    for (name, run), own in zip(runs, values, strict=True):
        record = run.record
        memory = record.peak_memory_bytes
        rows.append(
            (
                name_cell(name),
                name_cell(record.kind),
                name_cell(record.state),
                name_cell(run.result.short),
                *(number_cell(run.result.figures.get(figure)) for figure in figures),
                Cell(duration_text(record.seconds) or "–", record.seconds),
                Cell(size(memory) if memory else "–", memory),
                *(_setting(own.get(key)) for key in keys),
            )
        )
    headings = ("run", "what", "state", "result", *figures, *_COSTS, *keys)
    is_figure = (*(False,) * 4, *(True,) * (len(figures) + len(_COSTS)), *(False,) * len(keys))
    parts: list[Part] = [
        Table(
            f"Results, and the {len(keys)} keys of the profiles that differ; a heading sorts by its column",
            headings,
            rows,
            is_figure,
            folded=False,
        ),
        *accuracy_of_runs(runs),
    ]
    return Section("Runs side by side", parts)


def _setting(value: object) -> Cell:
    return Cell(text_of(value), float(value) if isinstance(value, int | float) else text_of(value))
