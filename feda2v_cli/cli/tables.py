"""What tables of several commands show: sizes, accuracies, rounds, and the files that a run would write."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feda2v_cli.report.quantities import size as size

if TYPE_CHECKING:
    from rich.table import Table

#: More nodes than this make no readable columns.
MOST_NODES = 8


def table(*left: str, right: Sequence[str] = ()) -> "Table":
    """An empty table without lines.

    Args:
        left: headings of the first columns, which are words.
        right: headings of the columns after them, which are figures.
    """
    from rich.table import Table

    made = Table(*left, box=None, pad_edge=False)
    for heading in right:
        made.add_column(heading, justify="right")
    return made


def share(value: float | None) -> str:
    """An accuracy with three digits; nothing for one that has no meaning."""
    return "" if value is None else f"{value:.3f}"


def rounds_table(rounds: Sequence[Mapping[str, Any]]) -> "Table":
    """How a federation does: a row for each round that was evaluated.

    Args:
        rounds: at least one, each with `round`, `accuracy`, `node_accuracy` and `loss`.
    """
    nodes = list(rounds[0]["node_accuracy"])
    spaces = list(rounds[0]["loss"])
    shown = nodes if len(nodes) <= MOST_NODES else []
    headings = ("round", "accuracy", *(f"node {node}" for node in shown), *(f"loss {space}" for space in spaces))
    made = table(right=headings)
    for row in rounds:
        accuracies = [row["accuracy"], *(row["node_accuracy"][node] for node in shown)]
        losses = [f"{row['loss'][space]:.3f}" for space in spaces]
        made.add_row(str(row["round"]), *map(share, accuracies), *losses)
    return made


def planned_files(files: Sequence[Path], would_overwrite: Sequence[Path]) -> Iterator[str]:
    """The files that a run would write, and how many of them are there already."""
    yield from map(str, files)
    there = len(would_overwrite)
    if there:
        yield f"{there} of these files are there already: --resume, --force or another --checkpoint-dir"
    else:
        yield "none of these files is there yet"
