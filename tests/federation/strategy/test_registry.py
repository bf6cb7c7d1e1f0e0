from typing import get_args

import pytest
import torch
from federations import after, federation_of, setup_of

from feda2v_cli.federation.strategy.registry import STRATEGIES, make_strategy
from feda2v_cli.profile.schema import FederationSection


def test_the_strategies_are_those_that_a_profile_can_name() -> None:
    assert list(STRATEGIES) == list(get_args(FederationSection.model_fields["strategy"].annotation))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_learns(tmp_path, strategy: str) -> None:
    setup = setup_of(
        [[0, 1, 2, 3]] * 2, clips=4, samples=3, strategy=strategy, local_epochs=6, server_epochs=6, server_momentum=0.5
    )
    assert after(setup, tmp_path, 4).evaluate(4).accuracy >= 0.8


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_bits(tmp_path, strategy: str) -> None:
    setup = setup_of([[0, 1], [2, 3]], samples=3, strategy=strategy, fraction=0.5, refresh="round")
    (tmp_path / "again").mkdir()
    first, again = after(setup, tmp_path, 3), after(setup, tmp_path / "again", 3)
    for owner in make_strategy(setup.profile.federation).evaluated([node.id for node in setup.trainers]):
        mine, theirs = first.adapters_of(owner, 3), again.adapters_of(owner, 3)
        assert all(torch.equal(mine[space], theirs[space]) for space in mine)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES.keys() - {"central"}))  # which has no node that could fail
def test_a_round_that_is_skipped_leaves_every_adapter_as_it_was(tmp_path, strategy: str) -> None:
    setup = setup_of([[0, 1], [2, 3]], samples=3, strategy=strategy, dropout=1.0)
    federation = federation_of(setup, tmp_path)
    before = federation.adapters
    for number in (1, 2):
        assert federation.run_round(number, keep_nodes=True).skipped
    for owner in (None, *(node.id for node in setup.trainers)):
        assert all(torch.equal(before[space], flat) for space, flat in federation.adapters_of(owner, 2).items())
