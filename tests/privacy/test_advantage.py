import pytest
import torch

from feda2v_cli.privacy.advantage import Advantage
from feda2v_cli.privacy.bound import largest_auc, largest_found


def test_an_attack_that_ranks_every_member_first_finds_all() -> None:
    found = Advantage.of(torch.arange(100, 150.0), torch.arange(0, 100.0))
    assert (found.auc, found.low, found.high, found.found_at_1_percent) == (1, 1, 1, 1)


def test_an_attack_by_chance_finds_as_many_as_it_raises_false_alarms() -> None:
    random = torch.Generator().manual_seed(0)
    found = Advantage.of(torch.randn(4000, generator=random), torch.randn(4000, generator=random))
    assert found.low < 0.5 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * (1 / 12 * 2 / 4000) ** 0.5, rel=0.05)
    assert found.found_at_1_percent == pytest.approx(0.01, abs=0.006)


def test_the_strongest_of_several_attacks_by_chance_is_not_taken_for_one_that_finds_something() -> None:
    random = torch.Generator().manual_seed(0)
    mistaken = {1: 0, 8: 0}
    for _ in range(300):
        scores = torch.randn(8, 2, 100, generator=random)  # eight attacks, none of which finds anything
        for attacks in mistaken:
            strongest = max((Advantage.of(*one, attacks) for one in scores), key=lambda found: found.auc)
            mistaken[attacks] += strongest.low > 0.5
    assert mistaken[8] <= 300 * 0.05 < mistaken[1]


def test_too_few_others_tell_no_share() -> None:
    found = Advantage.of(torch.arange(9.0), torch.arange(120.0))
    assert found.found_at_1_percent is not None
    assert found.found_at_0_1_percent is None


def test_equal_scores_are_chance() -> None:
    assert Advantage.of(torch.zeros(5), torch.zeros(7)).auc == 0.5


def test_no_privacy_budget_bounds_nothing_and_an_empty_one_everything() -> None:
    assert largest_auc(50.0, 1e-5) == pytest.approx(1.0, abs=1e-3)
    assert largest_auc(0.0, 0.0) == pytest.approx(0.5)
    assert largest_found(0.01, 1.0, 1e-5) == pytest.approx(0.01 * 2.718282 + 1e-5)
