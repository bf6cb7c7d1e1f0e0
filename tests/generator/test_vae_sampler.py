import torch
from generator_samples import SHAPE, SMALL, data, fitted, spec

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.training_set import TrainingSet, training_set
from feda2v_cli.generator.vae_fitting import VaeFitting
from feda2v_cli.generator.vae_sampler import VaeSampler
from feda2v_cli.quality.distances import kernel_audio_distance
from feda2v_cli.quality.neighbours import Distances

SECTION = SMALL.model_copy(update={"rounds": 10, "epochs": 40, "learning_rate": 3e-3, "latent": 2})


def ring(clips: int, number: int = 0) -> torch.Tensor:
    """Clips that lie on a ring, with a little noise."""
    random = random_stream(2, number)
    angles = 2 * torch.pi * torch.rand(clips, generator=random)
    axes = torch.randn(2, 96, generator=random_stream(3))
    noise = 0.1 * torch.randn(clips, 96, generator=random)
    return (torch.stack([angles.cos(), angles.sin()], dim=1) @ axes + noise).view(clips, *SHAPE)


def radii(generator: Generator, sets: TrainingSet) -> torch.Tensor:
    """How far from the class mean samples are along its two first components, in standard deviations."""
    labels = torch.zeros(2000, dtype=torch.long)
    scores = sets.components(SMALL).scores(generator.coordinates(labels, seed=1), labels)[:, :2]
    return scores.norm(dim=1)


def test_training_learns_what_a_gaussian_cannot_say() -> None:
    sets = training_set(spec(), ring(64), ["dog"] * 64, SECTION)
    fitting = VaeFitting([sets], SECTION, SECTION.learning_rate, 0, torch.device("cpu"))
    before = fitting.generator(0)
    losses = [float(fitting.train_round(number)["loss"]) for number in range(1, SECTION.rounds + 1)]
    after = fitting.generator(0)
    assert losses[-1] < losses[0] - 0.3
    # No clip lies within the ring, half of a Gaussian's samples do.
    assert (radii(before, sets) < 1).float().mean() > 0.35
    assert (radii(after, sets) < 1).float().mean() < 0.2


def test_what_it_learns_brings_samples_nearer_to_clips_that_it_has_not_seen() -> None:
    sets = training_set(spec(), ring(64), ["dog"] * 64, SECTION)
    fitting = VaeFitting([sets], SECTION, SECTION.learning_rate, 0, torch.device("cpu"))
    before = fitting.generator(0).sample(["dog"] * 400, seed=1).flatten(1)
    for number in range(1, SECTION.rounds + 1):
        fitting.train_round(number)
    after = fitting.generator(0).sample(["dog"] * 400, seed=1).flatten(1)
    unseen = ring(400, number=1).flatten(1)
    assert kernel_audio_distance(Distances.of(unseen, after)) < 0.8 * kernel_audio_distance(
        Distances.of(unseen, before)
    )


def test_a_component_that_the_decoder_makes_nothing_of_is_no_division_by_zero() -> None:
    sets = data(clips=40)
    sampler = fitted(sets).generator(0).sampler
    state = dict(sampler.state())
    state |= {name: 0 * state[name] for name in ("decoder_output.weight",)} | {"log_scale": 0 * state["log_scale"] - 40}
    module = VaeSampler.from_state(state, sets.projection.scale)._module
    again = VaeSampler.standardised(module, sets.components(SMALL), state["learned"])
    assert torch.isfinite(again.draw(torch.zeros(9, dtype=torch.long), random_stream(1))).all()


def test_latent_means_are_those_of_the_encoder_along_learned_components() -> None:
    sets = data(clips=24)
    means = fitted(sets).generator(0).sampler.latent_means(sets.coordinates, sets.labels)
    assert means[:, :3].std(0).min() > 0.3
    assert not means[:, 3:].any()
