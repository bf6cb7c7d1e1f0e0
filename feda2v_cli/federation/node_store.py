"""Adapters of single nodes, in files that are mapped into memory: they cost no memory however many nodes there are."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor


class NodeStore:
    """The nodes' own adapters after a round, [nodes, row] a target space.

    There are two files a space, for even and for odd rounds: while a round is written, the round before is whole, so
    that a run that was killed finds it.

    Args:
        directory: where the files are.
        nodes: ids of all nodes.
        widths: length of a row, by space.
    """

    def __init__(self, directory: Path, nodes: Sequence[int], widths: Mapping[str, int]) -> None:
        self._directory = directory
        self._places = {node: place for place, node in enumerate(nodes)}
        self._widths = dict(widths)

    def fill(self, round_number: int, space: str, row: Tensor) -> None:
        """Give every node the same adapter, [row]."""
        self._rows(round_number, space).copy_(row.expand(len(self._places), -1))

    def carry_over(self, round_number: int, space: str) -> None:
        """Give every node the adapter that it had a round before."""
        self._rows(round_number, space).copy_(self._rows(round_number - 1, space))

    def write(self, round_number: int, space: str, nodes: Sequence[int], rows: Tensor) -> None:
        """Keep what some nodes have trained in a round, [nodes, row]."""
        mapped = self._rows(round_number, space)
        for node, row in zip(nodes, rows.cpu(), strict=True):
            mapped[self._places[node]] = row

    def read(self, round_number: int, space: str, nodes: Sequence[int]) -> Tensor:
        """Adapters of some nodes after a round, [nodes, row]."""
        return self._rows(round_number, space)[[self._places[node] for node in nodes]]

    def sync(self, round_number: int) -> None:
        """Bring a round's files to the disk."""
        for space in self._widths:
            descriptor = os.open(self._path(round_number, space), os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _rows(self, round_number: int, space: str) -> Tensor:
        size = len(self._places) * self._widths[space]
        rows = torch.from_file(str(self._path(round_number, space)), shared=True, size=size, dtype=torch.float32)
        return rows.view(len(self._places), -1)

    def _path(self, round_number: int, space: str) -> Path:
        return self._directory / f"nodes_{space}_{'odd' if round_number % 2 else 'even'}.bin"
