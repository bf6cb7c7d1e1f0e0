"""How a federation does, round by round, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

#: More nodes than this make no readable columns.
MOST_NODES = 8


def rounds_table(rounds: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each round that was evaluated.

    Args:
        rounds: at least one, each with `round`, `accuracy`, `node_accuracy` and `loss`.
    """
    nodes = list(rounds[0]["node_accuracy"])
    spaces = list(rounds[0]["loss"])
    shown = nodes if len(nodes) <= MOST_NODES else []
    table = Table(box=None, pad_edge=False)
    for heading in ("round", "accuracy", *(f"node {node}" for node in shown), *(f"loss {space}" for space in spaces)):
        table.add_column(heading, justify="right")
    for row in rounds:
        accuracies = [row["accuracy"], *(row["node_accuracy"][node] for node in shown)]
        losses = [f"{row['loss'][space]:.3f}" for space in spaces]
        table.add_row(str(row["round"]), *map(share, accuracies), *losses)
    return table


def share(value: float | None) -> str:
    """An accuracy with three digits; nothing for one that has no meaning."""
    return "" if value is None else f"{value:.3f}"
