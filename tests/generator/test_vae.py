import torch
from generator_samples import SHAPE, SMALL, spec
from torch.func import functional_call

from feda2v_cli.engine.stream import stream
from feda2v_cli.generator.fit import VaeFitting, training_set
from feda2v_cli.generator.moments import class_moments
from feda2v_cli.generator.vae import (
    LINEAR_DECODER,
    NOISE_SHARE,
    ConditionalVae,
    passes_through_every_clip,
    start,
    vae_loss,
)

RANK, CLASSES, LATENT = 5, 2, 3
COORDINATES = torch.randn(40, RANK, generator=torch.Generator().manual_seed(0)) @ torch.diag(
    torch.tensor([3.0, 2, 1, 0.5, 0.2])
)
LABELS = torch.arange(40) % CLASSES
SECTION = SMALL.model_copy(update={"rounds": 10, "epochs": 40, "latent": 2})
MOMENTS = class_moments(COORDINATES, LABELS, CLASSES, 0.1)


def started(latent: int = LATENT) -> ConditionalVae:
    module = ConditionalVae(RANK, CLASSES, 8, latent)
    module.load_state_dict(start(module, MOMENTS, stream(0)))
    return module.requires_grad_(False)


def test_training_starts_from_samples_with_the_moments_of_the_classes() -> None:
    module = started()
    for label in range(CLASSES):
        loading, noise = module.loading[label], (2 * module.log_scale[label]).exp()
        covariance = loading @ loading.T + torch.diag(noise)
        expected = MOMENTS.covariances[label].float()
        torch.testing.assert_close(covariance.diagonal(), expected.diagonal(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(module.class_mean[label], MOMENTS.means[label])


def test_with_a_latent_for_every_axis_they_keep_the_correlations() -> None:
    module = started(latent=RANK)
    for label in range(CLASSES):
        loading, expected = module.loading[label], MOMENTS.covariances[label].float()
        torch.testing.assert_close(loading @ loading.T, (1 - NOISE_SHARE) * expected, rtol=1e-3, atol=1e-4)


def test_the_encoder_starts_as_the_exact_posterior() -> None:
    module = started()
    one_hot = torch.nn.functional.one_hot(LABELS, CLASSES).float()
    mean, log_variance = module.encode(COORDINATES, one_hot)
    for clip in range(6):
        label = LABELS[clip]
        loading, noise = module.loading[label], (2 * module.log_scale[label]).exp()
        precision = torch.eye(LATENT) + loading.T @ torch.diag(1 / noise) @ loading
        expected = torch.linalg.solve(precision, loading.T @ ((COORDINATES[clip] - module.class_mean[label]) / noise))
        torch.testing.assert_close(mean[clip], expected, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(log_variance[clip].exp(), torch.linalg.inv(precision).diagonal(), rtol=1e-3, atol=0)


def losses(module: ConditionalVae, **options: float) -> dict[str, torch.Tensor]:
    settings = {"kl_warmup_share": 0.0, "free_bits": 0.0, "input_noise": 0.0} | options
    progress = torch.tensor(settings.pop("progress", 1.0))
    batch = {
        "coordinates": COORDINATES,
        "one_hot": torch.nn.functional.one_hot(LABELS, CLASSES).float(),
        "kept": torch.ones(RANK),
        "settled": torch.zeros(CLASSES, dtype=torch.bool),
    }
    noise = torch.randn(len(LABELS), LATENT + RANK, generator=stream(1))
    return vae_loss(module, **settings)(dict(module.named_parameters()), batch, noise, progress)


def test_the_loss_is_reconstruction_and_kl_in_the_same_nats() -> None:
    values = losses(started())
    torch.testing.assert_close(values["loss"], values["reconstruction"] + values["kl"])


def test_the_kl_is_that_of_the_latent_s_normal_distributions() -> None:
    module = started()
    mean, log_variance = module.encode(COORDINATES, torch.nn.functional.one_hot(LABELS, CLASSES).float())
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(losses(module)["kl"], expected)


def test_the_reconstruction_is_the_negative_log_likelihood_of_the_coordinates() -> None:
    module = started()
    noise = torch.randn(len(LABELS), LATENT + RANK, generator=stream(1))
    one_hot = torch.nn.functional.one_hot(LABELS, CLASSES).float()
    mean, log_scale, _, _ = functional_call(
        module, dict(module.named_parameters()), (COORDINATES, one_hot, noise[:, :LATENT])
    )
    expected = -torch.distributions.Normal(mean, log_scale.exp()).log_prob(COORDINATES).sum(-1)
    torch.testing.assert_close(losses(module)["reconstruction"], expected)


def test_the_kl_warms_up_over_its_share_of_the_training() -> None:
    module = started()
    halfway = losses(module, kl_warmup_share=0.5, progress=0.25)
    torch.testing.assert_close(halfway["loss"], halfway["reconstruction"] + 0.5 * halfway["kl"])
    after = losses(module, kl_warmup_share=0.5, progress=0.75)
    torch.testing.assert_close(after["loss"], after["reconstruction"] + after["kl"])


def test_free_bits_cost_nothing() -> None:
    values = losses(started(), free_bits=100.0)
    torch.testing.assert_close(values["loss"], values["reconstruction"] + 100.0 * LATENT)


def test_a_class_of_n_clips_needs_n_minus_one_units_for_every_direction() -> None:
    counts = torch.tensor([1, 6, 7, 8])
    assert passes_through_every_clip(counts, rank=6, latent=64).tolist() == [True, True, True, False]
    assert passes_through_every_clip(counts, rank=64, latent=6).tolist() == [True, True, True, False]


def test_training_leaves_the_linear_decoder_of_the_classes_whose_clips_it_passes_through() -> None:
    sets = training_set(
        spec(0, "dog", "cow"),
        torch.randn(24, *SHAPE, generator=stream(3)),
        ["dog"] * 20 + ["cow"] * 4,
        SMALL,
    )
    fitting = VaeFitting([sets], SMALL, 1e-3, 0, torch.device("cpu"))
    before = fitting.generator(0).state()
    fitting.train_round(1)
    after = fitting.generator(0).state()
    for name in LINEAR_DECODER:
        dog, cow = (torch.equal(before[f"model.{name}"][place], after[f"model.{name}"][place]) for place in (0, 1))
        assert (dog, cow) == (False, True), name
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert {"model.latent_loading", "model.decoder_output.weight"} <= set(moved)


def test_training_learns_what_a_gaussian_cannot_say() -> None:
    angles = torch.linspace(0, 6.283, 65)[:64]
    ring = torch.stack([angles.cos(), angles.sin()], dim=1) @ torch.randn(2, 96, generator=stream(2))
    sets = training_set(spec(), ring.view(64, *SHAPE), ["dog"] * 64, SECTION)
    fitting = VaeFitting([sets], SECTION, 3e-3, 0, torch.device("cpu"))
    losses = [float(fitting.train_round(number)["loss"]) for number in range(1, SECTION.rounds + 1)]
    assert losses[-1] < losses[0] - 0.3
