import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from generator_samples import spec

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.errors import FailedError
from feda2v_cli.generator.training_set import TrainingSet
from feda2v_cli.privacy.accountant import delta_of, epsilon_of, noise_multiplier_for
from feda2v_cli.privacy.advantage import Advantage
from feda2v_cli.privacy.bound import largest_auc
from feda2v_cli.privacy.ledger import charge, charged, refuse_beyond_budget
from feda2v_cli.privacy.release import (
    EXACT,
    NOISY_DISCRIMINANTS,
    Promise,
    PublicBasis,
    Rounding,
    released_set,
    secret_noise,
)


def clips(count: int, number: int, kinds: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips [clips, 2, 8] of some classes, and their labels."""
    random = random_stream(9, number)
    means = 2 * torch.randn(kinds, 16, generator=random_stream(9, "means"))
    labels = torch.arange(count) % kinds
    return (means[labels] + torch.randn(count, 16, generator=random)).view(count, 2, 8), labels


@pytest.fixture(scope="module")
def basis() -> PublicBasis:
    return PublicBasis.of(*clips(300, 0), rank=4)


def test_the_accountant_agrees_with_a_case_that_is_computed_by_hand() -> None:
    # z = 1, ε = 1: δ = Φ(−½) − e Φ(−3/2) = 0.308538 − 2.718282 × 0.066807
    assert delta_of(1.0, 1.0) == pytest.approx(0.308538 - 2.718282 * 0.066807, abs=1e-5)


def test_the_noise_is_the_least_that_promises() -> None:
    noise = noise_multiplier_for(1.0, 1e-5)
    assert delta_of(noise, 1.0) <= 1e-5 < delta_of(0.999 * noise, 1.0)
    assert epsilon_of(noise, 1e-5) == pytest.approx(1.0, rel=1e-3)
    assert delta_of(1e-3, 900.0) > 0.99


def test_noise_that_no_seed_gives_is_normal() -> None:
    noise = secret_noise(20_001)
    assert len(noise) == 20_001
    assert abs(float(noise.mean())) < 0.04
    assert float(noise.std()) == pytest.approx(1, abs=0.03)
    assert not torch.equal(secret_noise(5), secret_noise(5))


def test_a_release_depends_on_the_clips_by_its_means_alone(basis: PublicBasis) -> None:
    one, other = (released_set(spec(), clips(30, number, 1)[0], ["dog"] * 30, basis, None) for number in (1, 2))
    assert not torch.equal(one.released.means, other.released.means)
    assert torch.equal(one.released.loadings, other.released.loadings)
    assert one.projection is other.projection
    assert one.projection.public == basis.digest


def test_with_a_promise_not_even_losses_are_of_the_clips(basis: PublicBasis) -> None:
    promise = Promise.of(1.0, 1e-5, basis)
    values = clips(30, 1, 1)[0]
    made = released_set(spec(), values, ["dog"] * 30, basis, promise)
    scores = made.released.scores(made.coordinates, made.labels)
    assert not torch.allclose(made.coordinates, basis.projection.project(values.flatten(1)))
    assert scores.norm(dim=1).max() < 5


def test_an_attack_on_200_releases_finds_what_is_promised_and_more_with_half_the_noise(basis: PublicBasis) -> None:
    others, _ = clips(8, 1, 1)
    far = 3 * basis.bound * torch.eye(4)[:1]
    # Two clips that are hardest to hide: beyond the bound, and opposite to each other.
    pair = [basis.projection.restore(side * far).view(1, 2, 8) for side in (1, -1)]

    def released(clip: torch.Tensor, promise: Promise) -> torch.Tensor:
        data = released_set(spec(), torch.cat([clip, others]), ["dog"] * 9, basis, promise)
        return data.released.means[0, 0]

    def attack(promise: Promise) -> Advantage:
        return Advantage.of(*(torch.stack([released(clip, promise) for _ in range(200)]) for clip in pair))

    promise = Promise.of(4.0, 1e-5, basis)
    # Noise of z sensitivities: two normal distributions, 1 / z of their deviation apart.
    most = 0.5 * math.erfc(-1 / promise.noise_multiplier / 2)
    assert attack(promise).low < most < largest_auc(4.0, 1e-5)
    assert attack(replace(promise, noise_multiplier=promise.noise_multiplier / 2)).low > most


def test_the_ledger_adds_up_what_a_clip_has_spent(tmp_path: Path) -> None:
    ledger, noise = tmp_path / "kept" / "ledger.json", noise_multiplier_for(1.0, 1e-5)
    assert charge(ledger, ["a", "b"], noise, 1e-5, None) == pytest.approx(1.0, rel=1e-3)
    twice = charge(ledger, ["b", "c"], noise, 1e-5, None)
    assert twice == pytest.approx(epsilon_of(noise / math.sqrt(2), 1e-5), rel=1e-3)
    assert 1.3 < twice < 2


def test_the_ledger_refuses_what_is_above_the_budget_and_charges_nothing_then(tmp_path: Path) -> None:
    ledger, noise = tmp_path / "ledger.json", noise_multiplier_for(1.0, 1e-5)
    charge(ledger, ["a"], noise, 1e-5, 1.1)
    before = ledger.read_bytes()
    with pytest.raises(FailedError, match=r"1 of 2 clips would have spent up to ε = 1\.\d+ .*privacy_budget is 1\.1"):
        charge(ledger, ["a", "new"], noise, 1e-5, 1.1)
    assert ledger.read_bytes() == before


def test_a_damaged_ledger_stops_the_release(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text('{"version": 1, "spent"')
    with pytest.raises(FailedError, match="is damaged"):
        charge(tmp_path / "ledger.json", ["a"], 1.0, 1e-5, None)


def test_a_run_that_would_spend_too_much_is_refused_before_its_first_release(tmp_path: Path) -> None:
    ledger, noise = tmp_path / "ledger.json", noise_multiplier_for(1.0, 1e-5)
    refuse_beyond_budget(ledger, [["a", "b"], ["c"]], noise, 1e-5, 1.1)
    assert not ledger.exists()
    with pytest.raises(FailedError, match="1 of 3 clips would have spent up to"):
        refuse_beyond_budget(ledger, [["a", "b"], ["b", "c"]], noise, 1e-5, 1.1)


@pytest.mark.parametrize(
    ("count", "promised", "told"), [(40, False, 16), (20, False, 10), (40, True, NOISY_DISCRIMINANTS)]
)
def test_as_many_discriminants_are_released_as_clips_pay_for(count: int, promised: bool, told: int) -> None:
    basis = PublicBasis.of(*clips(300, 0), rank=16)
    promise = Promise.of(1e6, 1e-5, basis) if promised else None
    made = released_set(spec(), clips(count, 1, 1)[0], ["dog"] * count, basis, promise).released
    moved = basis.discriminants(made.means)[0].abs() > 1e-4
    assert moved.tolist() == [place < told for place in range(16)]


def test_a_class_takes_the_spread_of_the_public_class_that_it_is_like() -> None:
    values, labels = clips(300, 0)
    values[labels == 1] = 5 * (values - values.mean((0, 1)))[labels == 1] + values.mean((0, 1))
    basis = PublicBasis.of(values, labels, rank=4)
    wide, narrow = (basis.like(basis.means[label], 0.01).square().sum() for label in (1, 0))
    assert wide > 3 * narrow


@pytest.mark.parametrize("promised", [False, True])
def test_no_number_of_a_release_tells_a_count_that_is_rounded(promised: bool) -> None:
    basis = PublicBasis.of(*clips(300, 0), rank=16)
    # Clips that are all the same: what is released of them depends on their number alone.
    clip = clips(1, 1, 1)[0]
    promise = Promise(1.0, 1e-5, 0.0, basis.bound) if promised else None

    def made(count: int, rounding: Rounding) -> TrainingSet:
        return released_set(spec(), clip.repeat(count, 1, 1), ["dog"] * count, basis, promise, rounding)

    for rounding, equal in ((EXACT, False), (Rounding(10, 8), True)):
        one, other = made(26, rounding), made(34, rounding)
        assert torch.allclose(one.released.means, other.released.means, atol=1e-5) is equal
        if promised:  # losses and figures are of as many as are drawn
            assert (len(one.labels) == len(other.labels)) is equal
    assert torch.allclose(one.released.loadings, other.released.loadings, rtol=1e-6)


def test_few_public_clips_make_a_basis_that_keeps_noise_finite() -> None:
    basis = PublicBasis.of(*clips(6, 0), rank=128)
    assert basis.projection.rank == 5
    made = released_set(spec(), clips(30, 1, 1)[0], ["dog"] * 30, basis, Promise.of(1.0, 1e-5, basis)).released
    assert basis.bound < 100
    assert torch.isfinite(made.means).all()
    assert torch.isfinite(made.loadings).all()


def test_a_clip_that_is_twice_in_a_release_spends_four_times_as_much(tmp_path: Path) -> None:
    noise = noise_multiplier_for(1.0, 1e-5)
    twice = charge(tmp_path / "ledger.json", ["a", "a", "b"], noise, 1e-5, None)
    assert twice == pytest.approx(epsilon_of(noise / 2, 1e-5))


def test_a_release_that_is_charged_is_not_charged_again(tmp_path: Path) -> None:
    ledger, noise = tmp_path / "ledger.json", noise_multiplier_for(1.0, 1e-5)
    first = charge(ledger, ["a", "b"], noise, 1e-5, 1.1, "one")
    before = ledger.read_bytes()
    assert charge(ledger, ["a", "b"], noise, 1e-5, 1.1, "one") == first
    assert ledger.read_bytes() == before
    assert charged(ledger) == {"one"}
    with pytest.raises(FailedError, match="2 of 2 clips would have spent"):
        charge(ledger, ["a", "b"], noise, 1e-5, 1.1, "other")


def test_a_ledger_of_before_knows_no_releases(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.json"
    ledger.write_text('{"version": 1, "spent": {"a": 1.0}}')
    assert charge(ledger, ["a"], 1.0, 1e-5, None, "one") == pytest.approx(epsilon_of(1 / math.sqrt(2), 1e-5))


@pytest.mark.parametrize("epsilon", [0.1, 0.3, 2.0, 4.0, 16.0])
def test_a_budget_pays_for_one_release_of_as_much(tmp_path: Path, epsilon: float) -> None:
    noise = noise_multiplier_for(epsilon, 1e-5)
    charge(tmp_path / "ledger.json", ["a"], noise, 1e-5, epsilon)
    refuse_beyond_budget(tmp_path / "other.json", [["a"]], noise, 1e-5, epsilon)


@pytest.mark.parametrize("before", [None, 0o644])
def test_nobody_else_reads_which_clips_are_in_a_ledger(tmp_path: Path, before: int | None) -> None:
    ledger = tmp_path / "ledger.json"
    if before is not None:
        ledger.write_text('{"version": 1, "spent": {}}')
        ledger.chmod(before)
    charge(ledger, ["a"], 1.0, 1e-5, None)
    assert ledger.stat().st_mode & 0o777 == 0o600
