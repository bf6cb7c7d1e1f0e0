import pytest
import torch
from generator_samples import SMALL, data, fitted

from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.vae import CLIPS_PER_UNIT
from feda2v_cli.generator.vae_sampler import VaeSampler
from feda2v_cli.quality.figures import active_units, cheap_figures, spread


def test_a_gaussian_has_the_spread_of_its_clips() -> None:
    clips = data(classes=("dog", "cow"), clips=40)
    assert spread(GaussianFitting([clips], SMALL).generator(0), clips) == pytest.approx(1, abs=0.1)


def test_every_class_has_its_own_spread() -> None:
    clips = data(classes=("dog", "cow"), clips=40)
    narrow = _with(fitted(clips).generator(0), lambda state: _narrowed(state, label=1))
    per_class = cheap_figures(narrow, clips)["per_class"]
    assert per_class["dog"]["spread"] > 0.8
    assert per_class["cow"]["spread"] < 0.1


def test_a_latent_unit_that_says_nothing_is_not_active() -> None:
    clips = data(clips=24)
    generator = fitted(clips).generator(0)

    def silence(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        learned = state["learned"].clone()
        learned[:, 1] = 0
        return state | {"learned": learned}

    assert active_units(generator, clips) == 24 // CLIPS_PER_UNIT
    assert active_units(_with(generator, silence), clips) == 24 // CLIPS_PER_UNIT - 1


def test_a_gaussian_has_no_latent_units() -> None:
    clips = data()
    assert "active_units" not in cheap_figures(GaussianFitting([clips], SMALL).generator(0), clips)


def _narrowed(state: dict[str, torch.Tensor], label: int) -> dict[str, torch.Tensor]:
    loadings = state["loadings"].clone()
    loadings[label] *= 0.01
    return state | {"loadings": loadings, "remainder": 0 * state["remainder"]}


def _with(generator: Generator, change) -> Generator:
    sampler = VaeSampler.from_state(change(dict(generator.sampler.state())), generator.projection.scale)
    return Generator(
        generator.classes,
        generator.shape,
        data(classes=generator.classes, clips=40 if len(generator.classes) > 1 else 24).projection,
        sampler,
    )
