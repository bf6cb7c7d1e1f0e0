import pytest
import torch
from generator_samples import SHAPE, SMALL, data, embeddings, fitted, spec

from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.registry import rounds_and_epochs
from feda2v_cli.generator.training_set import training_set
from feda2v_cli.generator.vae_fitting import VaeFitting
from feda2v_cli.quality.figures import spread

SECTION = SMALL.model_copy(update={"rounds": 5, "epochs": 20, "learning_rate": 3e-3})


def same(one: Generator, other: Generator) -> bool:
    return all(torch.equal(value, other.state()[name]) for name, value in one.state().items())


def close(one: Generator, other: Generator) -> None:
    for name, value in one.state().items():
        torch.testing.assert_close(value, other.state()[name], rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_bits() -> None:
    assert same(fitted(data()).generator(0), fitted(data()).generator(0))


def test_another_seed_gives_another_generator() -> None:
    assert not same(fitted(data(), seed=0).generator(0), fitted(data(), seed=1).generator(0))


def test_a_generator_does_not_depend_on_its_neighbours() -> None:
    alone = fitted(data(0))
    close(alone.generator(0), fitted(data(0), data(1), data(2)).generator(0))


def test_a_generator_does_not_depend_on_neighbours_with_more_coordinates_and_classes() -> None:
    small, large = data(0, clips=18), data(1, clips=24, classes=("cow", "frog", "pig"), rank=24)
    assert small.projection.rank < large.projection.rank
    together = fitted(small, large)
    close(fitted(small).generator(0), together.generator(0))
    close(fitted(large).generator(0), together.generator(1))


def test_fitting_goes_on_from_a_state_to_the_same_bits() -> None:
    sets = (data(0), data(1))
    before = VaeFitting(sets, SMALL, 1e-3, 0, torch.device("cpu"))
    before.train_round(1)
    after = VaeFitting(sets, SMALL, 1e-3, 0, torch.device("cpu"))
    after.restore({name: value.clone() for name, value in before.state().items()})
    before.train_round(2)
    after.train_round(2)
    assert same(before.generator(1), after.generator(1))


def test_a_dense_generator_works_on_every_feature() -> None:
    generator = fitted(data(projection="none"), section=SMALL.model_copy(update={"projection": "none"})).generator(0)
    assert generator.architecture()["rank"] == SHAPE[0] * SHAPE[1]
    assert "projection.axes" not in generator.state()


def test_a_gaussian_needs_one_round_and_tells_its_likelihood() -> None:
    fitting = GaussianFitting([data()], SMALL)
    assert rounds_and_epochs(SMALL.model_copy(update={"type": "gaussian"})) == (1, 1)
    assert torch.isfinite(fitting.train_round(1)["loss"]).all()


@pytest.mark.parametrize("kind", ["vae", "gaussian"])
def test_samples_spread_as_the_data_does(kind: str) -> None:
    sets = data(clips=40, classes=("dog", "cow"))
    fitting = fitted(sets) if kind == "vae" else GaussianFitting([sets], SMALL)
    assert spread(fitting.generator(0), sets) == pytest.approx(1.0, abs=0.1)


def test_before_training_a_vae_draws_the_samples_of_the_gaussian() -> None:
    sets = data(clips=40, classes=("dog", "cow"))
    vae = VaeFitting([sets], SMALL, 1e-3, 0, torch.device("cpu")).generator(0)
    gaussian, names = GaussianFitting([sets], SMALL).generator(0), ["dog", "cow"] * 10
    torch.testing.assert_close(vae.sample(names, seed=1), gaussian.sample(names, seed=1), rtol=1e-4, atol=1e-3)


def test_after_training_its_samples_have_the_moments_of_the_clips() -> None:
    sets = data(clips=64)
    generator = fitted(sets, section=SECTION).generator(0)
    drawn = generator.coordinates(torch.zeros(40_000, dtype=torch.long), seed=1)
    assert not torch.equal(generator.state()["model.shift"], torch.zeros(1, SECTION.latent))
    torch.testing.assert_close(drawn.mean(0), sets.coordinates.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(sets.coordinates.T), rtol=0, atol=0.05)


def test_the_losses_of_vae_and_gaussian_start_alike() -> None:
    sets = data(clips=64, classes=("dog", "cow"))
    silent = VaeFitting([sets], SMALL, 1e-12, 0, torch.device("cpu"))
    losses = torch.stack([silent.train_round(number)["loss"] for number in range(1, 60)])
    gaussian = GaussianFitting([sets], SMALL).train_round(1)["loss"]
    torch.testing.assert_close(losses.mean(0), gaussian, rtol=0.01, atol=0.0)


def test_a_class_of_few_clips_stays_a_gaussian() -> None:
    sets = training_set(spec(0, "dog", "cow"), embeddings(39), ["dog"] * 32 + ["cow"] * 7, SMALL)
    vae, gaussian = fitted(sets, section=SECTION).generator(0), GaussianFitting([sets], SMALL).generator(0)
    cows, dogs = ["cow"] * 8, ["dog"] * 8
    torch.testing.assert_close(vae.sample(cows, seed=1), gaussian.sample(cows, seed=1), rtol=1e-4, atol=1e-3)
    assert (vae.sample(dogs, seed=1) - gaussian.sample(dogs, seed=1)).abs().max() > 0.1


def test_the_spread_of_a_class_mean_is_nothing() -> None:
    sets = data(clips=40)
    fitting = fitted(sets)
    generator = fitting.generator(0)
    collapsed = Generator(generator.classes, generator.shape, sets.projection, MeanOnly(sets.projection.rank))
    assert spread(collapsed, sets) < 0.01


class MeanOnly:
    type = "vae"

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def draw(self, labels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        return 1e-3 * torch.randn(len(labels), self._rank, generator=random)
