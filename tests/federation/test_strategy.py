from collections.abc import Callable

import pytest
import torch

from feda2v_cli.federation.pool import Node
from feda2v_cli.federation.strategy import robust
from feda2v_cli.federation.strategy.mean import Mean
from feda2v_cli.federation.strategy.robust import median, part_by_part, trimmed_mean
from feda2v_cli.federation.strategy.server_optimiser import ADAPTIVITY, BETAS, ServerOptimiser
from feda2v_cli.federation.strategy.strategy import make_strategy
from feda2v_cli.federation.strategy.weight import by_class, by_clips
from feda2v_cli.profile.schema import FederationSection

ROWS = torch.tensor([[1.0, 10.0], [2.0, 20.0], [6.0, 0.0], [100.0, -50.0]])


def node(index: int, clips_of_class: dict[int, int]) -> Node:
    return Node(index, torch.arange(sum(clips_of_class.values())), clips_of_class, {})


def strategy(name: str, **values: object) -> FederationSection:
    return FederationSection.model_validate({"strategy": name, **values})


def moved(name: str, updates: list[float], **values: object) -> list[float]:
    """Where a server optimiser takes a parameter that starts at 0 and that the nodes move by `updates`."""
    made = make_strategy(strategy(name, **values))
    assert made.optimiser is not None
    row, places = torch.zeros(1), []
    server = ServerOptimiser(made.optimiser, row)
    for update in updates:
        row = server.step(row, row + update)
        places.append(float(row))
    return places


def test_the_mean_is_weighted() -> None:
    mean = Mean()
    mean.add(ROWS[:3], torch.tensor([1.0, 1.0, 2.0]))
    assert mean.result().tolist() == [3.75, 7.5]


def test_the_mean_does_not_depend_on_how_nodes_are_stacked() -> None:
    rows, weights = torch.randn(20, 50), torch.rand(20)
    together, apart = Mean(), Mean()
    together.add(rows, weights)
    for part in range(0, 20, 3):
        apart.add(rows[part : part + 3], weights[part : part + 3])
    assert torch.equal(together.result(), apart.result())


def test_the_median_is_that_of_each_parameter() -> None:
    assert median(ROWS[:3]).tolist() == [2.0, 10.0]
    assert median(ROWS).tolist() == [4.0, 5.0]


def test_the_trimmed_mean_leaves_out_both_ends() -> None:
    assert trimmed_mean(ROWS, 0.25).tolist() == [4.0, 5.0]


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_the_trimmed_mean_of_few_nodes_leaves_one(nodes: int) -> None:
    assert torch.equal(trimmed_mean(ROWS[:nodes], 0.49), median(ROWS[:nodes]))


@pytest.mark.parametrize("parameters", [64, 192, 256, 1024])
@pytest.mark.parametrize("aggregate", [median, lambda values: trimmed_mean(values, 0.2)])
def test_the_bits_do_not_depend_on_how_many_parameters_are_sorted_at_a_time(
    monkeypatch: pytest.MonkeyPatch, aggregate: Callable[[torch.Tensor], torch.Tensor], parameters: int
) -> None:
    rows = torch.randn(37, 1024, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(robust, "SORTED_BYTES", parameters * 37 * 8)
    seen: list[int] = []

    def values_of(part: slice) -> torch.Tensor:
        seen.append(rows[:, part].shape[1])
        return rows[:, part]

    assert torch.equal(part_by_part(aggregate, values_of, 37, 1024), aggregate(rows))
    assert max(seen) == parameters


def test_robust_strategies_sort_a_few_parameters_however_many_nodes_there_are() -> None:
    seen: list[int] = []

    def values_of(part: slice) -> torch.Tensor:
        seen.append(part.stop - part.start)
        return torch.zeros(1, part.stop - part.start)

    for nodes in (1_000, 100_000, 100_000_000):
        part_by_part(median, values_of, nodes, 64 * 1024)
        assert seen[-1] == max(64, robust.SORTED_BYTES // (8 * nodes * 64) * 64)


def test_fedavg_counts_clips() -> None:
    assert by_clips([node(0, {0: 3}), node(1, {0: 1, 1: 4})]).tolist() == [3.0, 5.0]


def test_per_class_average_counts_every_class_alike() -> None:
    # Class 0 is held by both, 30 to 10; class 1 by the second alone.
    weights = by_class([node(0, {0: 30}), node(1, {0: 10, 1: 2})])
    assert weights.tolist() == pytest.approx([0.75 / 2, 1.25 / 2])


def test_fedavgm_remembers_the_rounds_before() -> None:
    assert moved("fedavgm", [1.0, 0.0], server_momentum=0.5, server_learning_rate=1.0) == pytest.approx([1.0, 1.5])


def test_fedavgm_moves_as_far_as_an_update_and_no_farther() -> None:
    assert moved("fedavgm", [1.0] + [0.0] * 60)[-1] == pytest.approx(1.0, abs=0.01)


def test_fedadam_is_adam_on_the_negative_update() -> None:
    gradient = -0.5
    mean, square = gradient, gradient**2  # bias-corrected, first step
    expected = -0.1 * mean / (square**0.5 + ADAPTIVITY)
    assert moved("fedadam", [0.5], server_learning_rate=0.1) == pytest.approx([expected], rel=1e-5)


def test_fedyogi_follows_its_paper() -> None:
    mean = square = place = 0.0
    square, places = ADAPTIVITY**2, []
    for update in (0.5, -0.2):
        gradient = -update
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        sign = (square > gradient**2) - (square < gradient**2)
        square -= (1 - BETAS[1]) * gradient**2 * sign
        place -= 0.1 * mean / (square**0.5 + ADAPTIVITY)
        places.append(place)
    assert moved("fedyogi", [0.5, -0.2], server_learning_rate=0.1) == pytest.approx(places, rel=1e-4)


@pytest.mark.parametrize("name", ["fedavgm", "fedadam", "fedyogi"])
def test_a_server_optimiser_goes_on_where_it_was(name: str) -> None:
    make = make_strategy(strategy(name)).optimiser
    assert make is not None
    row = torch.randn(5)
    first, second = ServerOptimiser(make, row), ServerOptimiser(make, row)
    first.step(row, row + 1)
    second.restore(first.state())
    assert torch.equal(first.step(row, row - 2), second.step(row, row - 2))
