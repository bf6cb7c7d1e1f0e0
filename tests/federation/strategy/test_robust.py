from collections.abc import Callable

import pytest
import torch

from feda2v_cli.federation.strategy import robust
from feda2v_cli.federation.strategy.robust import median, part_by_part, trimmed_mean

PARAMETERS = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 0.0], [100.0, -50.0]])


def test_the_median_is_that_of_each_parameter() -> None:
    assert median(PARAMETERS[:3]).tolist() == [2.0, 10.0]
    assert median(PARAMETERS).tolist() == [4.0, 5.0]


def test_the_trimmed_mean_leaves_out_both_ends() -> None:
    assert trimmed_mean(PARAMETERS, 0.25).tolist() == [4.0, 5.0]


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_the_trimmed_mean_of_few_nodes_leaves_one(nodes: int) -> None:
    assert torch.equal(trimmed_mean(PARAMETERS[:nodes], 0.49), median(PARAMETERS[:nodes]))


@pytest.mark.parametrize("parameters", [64, 192, 256, 1024])
@pytest.mark.parametrize("aggregate", [median, lambda values: trimmed_mean(values, 0.2)])
def test_the_bits_do_not_depend_on_how_many_parameters_are_sorted_at_a_time(
    monkeypatch: pytest.MonkeyPatch, aggregate: Callable[[torch.Tensor], torch.Tensor], parameters: int
) -> None:
    adapters = torch.randn(37, 1024, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(robust, "SORTED_BYTES", parameters * 37 * 8)
    seen: list[int] = []

    def values_of(part: slice) -> torch.Tensor:
        seen.append(adapters[:, part].shape[1])
        return adapters[:, part]

    assert torch.equal(part_by_part(aggregate, values_of, 37, 1024), aggregate(adapters))
    assert max(seen) == parameters


def test_robust_strategies_sort_a_few_parameters_however_many_nodes_there_are() -> None:
    seen: list[int] = []

    def values_of(part: slice) -> torch.Tensor:
        seen.append(part.stop - part.start)
        return torch.zeros(1, part.stop - part.start)

    for nodes in (1_000, 100_000, 100_000_000):
        part_by_part(median, values_of, nodes, 64 * 1024)
        assert seen[-1] == max(64, robust.SORTED_BYTES // (8 * nodes * 64) * 64)
