from dataclasses import replace
from pathlib import Path

import pytest
import torch
from federations import federation_of, setup_of

from feda2v_cli.federation.strategy.averaging import FedOpt
from feda2v_cli.federation.strategy.registry import make_strategy
from feda2v_cli.federation.strategy.server_optimiser import (
    ADAPTIVITY,
    BETAS,
    MakeOptimiser,
    adam,
    move_server,
    sgd,
    yogi,
)


def moved(directory: Path, name: str, updates: list[float], **values: object) -> list[float]:
    """Where a strategy takes parameters that start at 0 and that the nodes move by `updates`."""
    federation = federation_of(setup_of([[0]], strategy=name, **values), directory)
    strategy = make_strategy(federation.setup.profile.federation)
    assert isinstance(strategy, FedOpt)
    exchange = federation._exchange(federation.setup.spaces[0], (), 1)
    server, places = torch.zeros(1), []
    for update in updates:
        server = strategy.step(replace(exchange, server=server), server + update)
        places.append(float(server))
    return places


def test_fedavgm_remembers_the_rounds_before(tmp_path: Path) -> None:
    assert moved(tmp_path, "fedavgm", [1.0, 0.0], server_momentum=0.5, server_learning_rate=1.0) == pytest.approx(
        [1.0, 1.5]
    )


def test_fedavgm_moves_as_far_as_an_update_and_no_farther(tmp_path: Path) -> None:
    assert moved(tmp_path, "fedavgm", [1.0] + [0.0] * 60)[-1] == pytest.approx(1.0, abs=0.01)


def by_the_paper(strategy: str, updates: list[float], learning_rate: float) -> list[float]:
    """Algorithm 2 of Reddi et al., a step for each Δ_t."""
    mean, square, place, places = 0.0, ADAPTIVITY**2, 0.0, []
    for update in updates:
        mean = BETAS[0] * mean + (1 - BETAS[0]) * update
        sign = (square > update**2) - (square < update**2)
        square = {
            "fedadam": BETAS[1] * square + (1 - BETAS[1]) * update**2,
            "fedyogi": square - (1 - BETAS[1]) * update**2 * sign,
        }[strategy]
        place += learning_rate * mean / (square**0.5 + ADAPTIVITY)
        places.append(place)
    return places


@pytest.mark.parametrize("strategy", ["fedadam", "fedyogi"])
def test_an_adaptive_optimiser_follows_its_paper_from_the_first_step_on(tmp_path: Path, strategy: str) -> None:
    updates = [0.5, -0.2, 0.0, 3e-4]
    expected = by_the_paper(strategy, updates, 0.1)
    assert moved(tmp_path, strategy, updates, server_learning_rate=0.1) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("make", [sgd(0.1, 0.9), adam(0.1), yogi(0.1)])
def test_a_step_leaves_what_was_remembered_before_as_it_is(make: MakeOptimiser) -> None:
    server = torch.randn(5)
    after_one, state = move_server(make, None, server, server + 1)
    first, _ = move_server(make, state, after_one, server - 2)
    again, _ = move_server(make, state, after_one, server - 2)
    assert torch.equal(first, again)


@pytest.mark.parametrize("strategy", ["fedavgm", "fedadam", "fedyogi"])
def test_a_federation_goes_on_where_it_was(tmp_path: Path, strategy: str) -> None:
    setup = setup_of([[0, 1], [2, 3]], strategy=strategy)
    (tmp_path / "again").mkdir()
    first, second = federation_of(setup, tmp_path), federation_of(setup, tmp_path / "again")
    first.run_round(1)
    second.restore(first.state(1))
    first.run_round(2)
    second.run_round(2)
    assert all(torch.equal(first.adapters[space], second.adapters[space]) for space in first.adapters)
