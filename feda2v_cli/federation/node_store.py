"""Adapters of single nodes, in files that are mapped into memory: they cost no memory however many nodes there are."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from feda2v_cli.errors import FailedError
from feda2v_cli.federation.disk_room import take_room


class NodeStore:
    """The nodes' own adapters after a round, flat parameters [nodes, parameters] a target space.

    There are two files a space, for even and for odd rounds: while a round is written, the round before is whole, so
    that a run that was killed finds it. Their space on the disk is taken when they are made: a disk that is full is an
    error then, where writing to a file in memory that has no space would end the process.

    Args:
        directory: where the files are.
        nodes: ids of all nodes.
        widths: flat parameters of an adapter, by space.

    Raises:
        FailedError: by whatever needs a file for the first time, when the disk is full.
    """

    def __init__(self, directory: Path, nodes: Sequence[int], widths: Mapping[str, int]) -> None:
        self._directory = directory
        self._places = {node: place for place, node in enumerate(nodes)}
        self._widths = dict(widths)

    def fill(self, round_number: int, space: str, adapter: Tensor) -> None:
        """Give every node the same adapter, [parameters]."""
        self._mapped(round_number, space).copy_(adapter.expand(len(self._places), -1))

    def carry_over(self, round_number: int, space: str) -> None:
        """Give every node the adapter that it had a round before."""
        self._mapped(round_number, space).copy_(self._mapped(round_number - 1, space))

    def write(self, round_number: int, space: str, nodes: Sequence[int], adapters: Tensor) -> None:
        """Keep what some nodes have trained in a round, [nodes, parameters]."""
        self._mapped(round_number, space).index_copy_(0, self._places_of(nodes), adapters.detach().cpu())

    def read(self, round_number: int, space: str, nodes: Sequence[int]) -> Tensor:
        """Adapters of some nodes after a round, [nodes, parameters]."""
        return self._mapped(round_number, space).index_select(0, self._places_of(nodes))

    def read_part(self, round_number: int, space: str, nodes: Sequence[int], part: slice) -> Tensor:
        """Some parameters of some nodes' adapters after a round, [nodes, parameters].

        They are read node by node, and not from the mapped file: the kernel maps what lies around them as well, which
        is in the end the whole file.

        Raises:
            FailedError: the file is shorter than it was written.
        """
        width = self._widths[space]
        start, end, _ = part.indices(width)
        values = torch.empty(len(nodes), end - start)
        with self._path(round_number, space).open("rb") as file:
            for node, read in zip(nodes, values.numpy(), strict=True):
                file.seek(4 * (self._places[node] * width + start))
                if file.readinto(read) != read.nbytes:
                    raise FailedError(
                        f"{file.name} ends before the adapter of node {node}",
                        hint="run again with --force, and leave the run directory to the run",
                    )
        return values

    def sync(self, round_number: int) -> None:
        """Bring a round's files to the disk."""
        for space in self._widths:
            descriptor = os.open(self._path(round_number, space), os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _places_of(self, nodes: Sequence[int]) -> Tensor:
        return torch.tensor([self._places[node] for node in nodes], dtype=torch.long)

    def _mapped(self, round_number: int, space: str) -> Tensor:
        path = self._path(round_number, space)
        size = len(self._places) * self._widths[space]
        self._reserve(path, 4 * size)
        return torch.from_file(str(path), shared=True, size=size, dtype=torch.float32).view(len(self._places), -1)

    def _reserve(self, path: Path, size: int) -> None:
        if path.exists() and path.stat().st_size >= size:
            return
        what = f"the adapters of {len(self._places)} nodes take {size / 1e6:.0f} MB"
        take_room(path, size, what, hint=f"df -h {self._directory}")

    def _path(self, round_number: int, space: str) -> Path:
        return self._directory / f"nodes_{space}_{'odd' if round_number % 2 else 'even'}.bin"
