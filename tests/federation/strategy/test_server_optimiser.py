from pathlib import Path

import pytest
import torch
from federations import federation_of, setup_of

from feda2v_cli.federation.strategy.server_optimiser import (
    ADAPTIVITY,
    BETAS,
    MakeOptimiser,
    adam,
    move_server,
    sgd,
    yogi,
)


def moved(make: MakeOptimiser, updates: list[float]) -> list[float]:
    """Where a server optimiser takes a parameter that starts at 0 and that the nodes move by `updates`."""
    server, state, places = torch.zeros(1), None, []
    for update in updates:
        server, state = move_server(make, state, server, server + update)
        places.append(float(server))
    return places


def test_momentum_remembers_the_rounds_before() -> None:
    assert moved(sgd(1.0, 0.5), [1.0, 0.0]) == pytest.approx([1.0, 1.5])


def test_fedadam_is_adam_on_the_negative_update() -> None:
    gradient = -0.5
    mean, square = gradient, gradient**2  # bias-corrected, first step
    expected = -0.1 * mean / (square**0.5 + ADAPTIVITY)
    assert moved(adam(0.1), [0.5]) == pytest.approx([expected], rel=1e-5)


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
    assert moved(yogi(0.1), [0.5, -0.2]) == pytest.approx(places, rel=1e-4)


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
