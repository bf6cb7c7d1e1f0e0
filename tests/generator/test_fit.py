import pytest
import torch
from generator_samples import SHAPE, SMALL, data, embeddings, fitted, spec

from feda2v_cli.generator.fit import GaussianFitting, VaeFitting, cost, largest_rank, training_set
from feda2v_cli.generator.gaussian import GaussianSampler
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.moments import class_moments
from feda2v_cli.generator.quality import spread


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
    assert fitting.rounds == 1
    assert torch.isfinite(fitting.train_round(1)["loss"]).all()


@pytest.mark.parametrize("kind", ["vae", "gaussian"])
def test_samples_spread_as_the_data_does(kind: str) -> None:
    sets = data(clips=40, classes=("dog", "cow"))
    fitting = fitted(sets) if kind == "vae" else GaussianFitting([sets], SMALL)
    assert spread(fitting.generator(0), sets) == pytest.approx(1.0, abs=0.1)


def test_a_vae_of_few_clips_keeps_the_moments_of_the_gaussian() -> None:
    sets = data(clips=12, classes=("dog", "cow"))
    vae, gaussian = fitted(sets).generator(0).state(), GaussianFitting([sets], SMALL).generator(0).state()
    torch.testing.assert_close(vae["model.class_mean"], gaussian["model.means"])
    loadings, noise = vae["model.loading"], torch.diag_embed((2 * vae["model.log_scale"]).exp())
    expected = gaussian["model.factors"] @ gaussian["model.factors"].mT
    error = loadings @ loadings.mT + noise - expected
    assert (error.norm(dim=(1, 2)) < 0.005 * expected.norm(dim=(1, 2))).all()
    assert vae["model.decoder_output.weight"].any()


def test_before_training_a_vae_of_few_clips_draws_the_samples_of_the_gaussian() -> None:
    sets = data(clips=12, classes=("dog", "cow"))
    vae = VaeFitting([sets], SMALL, 1e-3, 0, torch.device("cpu")).generator(0)
    gaussian, names = GaussianFitting([sets], SMALL).generator(0), ["dog", "cow"] * 10
    wanted = gaussian.sample(names, seed=1)
    apart, far = (vae.sample(names, seed=1) - wanted).norm(), (gaussian.sample(names, seed=2) - wanted).norm()
    assert apart < 0.1 * far


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
        self.loadings = torch.zeros(1, rank, 2)

    def draw(self, labels: torch.Tensor, directions: torch.Tensor, random: torch.Generator) -> torch.Tensor:  # noqa: ARG002
        return 1e-3 * torch.randn(len(labels), self._rank, generator=random)


@pytest.mark.parametrize(("clips", "expected"), [(2, 1), (10, 9), (500, 16)])
def test_the_largest_rank_is_known_before_any_clip_is_read(clips: int, expected: int) -> None:
    assert largest_rank(clips, 96, SMALL) == expected
    assert training_set(spec(), embeddings(clips), ["dog"] * clips, SMALL).projection.rank == expected


def test_a_larger_model_costs_more() -> None:
    assert cost(40, 1, 96, SMALL).bytes < cost(40, 5, 96, SMALL).bytes
    assert cost(40, 1, 96, SMALL).bytes < cost(40, 1, 96, SMALL.model_copy(update={"hidden": 64})).bytes


def test_gaussians_of_few_clips_on_many_axes_have_a_factor() -> None:
    random = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(209, 209, generator=random))
    scales = torch.tensor([1000.0] + [0.1] * 208)
    coordinates = torch.randn(210, 209, generator=random) * scales @ turned
    moments = class_moments(coordinates, torch.arange(210) % 7, 7, shrinkage=0.0)
    assert torch.isfinite(GaussianSampler.fit(moments).factors).all()
