import pytest
import torch
from torch.func import functional_call

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.vae import NOISE_SHARE, ConditionalVae, initial_parameters, learned_components, vae_loss

CLASSES, LATENT = 2, 3
SCORES = torch.randn(40, LATENT, generator=random_stream(3))
LABELS = torch.arange(40) % CLASSES
ONE_HOT = torch.nn.functional.one_hot(LABELS, CLASSES).float()
LEARNED = torch.tensor([[1.0, 1, 1], [1, 1, 0]])


def started() -> ConditionalVae:
    module = ConditionalVae(CLASSES, 8, LATENT)
    module.load_state_dict(initial_parameters(module, random_stream(0)))
    return module.requires_grad_(False)


def test_training_starts_from_the_standard_normal() -> None:
    latent = torch.randn(50_000, LATENT, generator=random_stream(4))
    mean, log_scale = started().decode(latent, ONE_HOT[:1].expand(50_000, -1))
    torch.testing.assert_close(
        torch.cov(mean.T) + torch.diag((2 * log_scale[0]).exp()), torch.eye(LATENT), atol=0.02, rtol=0
    )


def test_the_encoder_starts_as_the_exact_posterior() -> None:
    """Of scores (1 − s)^½ z + s^½ ε with z and ε standard normal: Bayes' rule for Gaussians."""
    mean, log_variance = started().encode(SCORES, ONE_HOT)
    precision = 1 + (1 - NOISE_SHARE) / NOISE_SHARE
    torch.testing.assert_close(log_variance.exp(), torch.full_like(log_variance, 1 / precision))
    torch.testing.assert_close(mean, (1 - NOISE_SHARE) ** 0.5 / NOISE_SHARE * SCORES / precision)


def losses(
    module: ConditionalVae,
    learned: torch.Tensor = LEARNED,
    scores: torch.Tensor = SCORES,
    mask: torch.Tensor | None = None,
    **options: float,
) -> dict[str, torch.Tensor]:
    settings = {"kl_warmup_share": 0.0, "free_bits": 0.0, "input_noise": 0.0} | options
    progress = torch.tensor(settings.pop("progress", 1.0))
    batch = {
        "scores": scores,
        "one_hot": ONE_HOT,
        "remainder": torch.full((len(LABELS),), 5.0),
        "learned": learned,
        "mask": torch.ones(len(LABELS)) if mask is None else mask,
    }
    noise = torch.randn(len(LABELS), 2 * LATENT, generator=random_stream(1))
    return vae_loss(module, **settings)(dict(module.named_parameters()), batch, noise, progress)


def test_the_loss_is_reconstruction_and_kl_in_the_same_nats() -> None:
    values = losses(started())
    torch.testing.assert_close(values["loss"], values["reconstruction"] + values["kl"])


def test_the_kl_is_that_of_the_latent_s_normal_distributions() -> None:
    module = started()
    mean, log_variance = module.encode(LEARNED[LABELS] * SCORES, ONE_HOT)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(losses(module)["kl"], (LEARNED[LABELS] * divergence).sum(-1))


def test_the_reconstruction_is_the_negative_log_likelihood_of_the_scores_and_of_the_remainder() -> None:
    module = started()
    noise = torch.randn(len(LABELS), 2 * LATENT, generator=random_stream(1))
    inputs = (SCORES, ONE_HOT, LEARNED[LABELS], noise[:, :LATENT])
    mean, log_scale, _, _ = functional_call(module, dict(module.named_parameters()), inputs)
    likelihood = torch.distributions.Normal(mean, log_scale.exp()).log_prob(SCORES)
    torch.testing.assert_close(losses(module)["reconstruction"], 5.0 - (LEARNED[LABELS] * likelihood).sum(-1))


def test_at_the_start_the_bound_is_the_likelihood_of_the_gaussian() -> None:
    """The encoder is the exact posterior, so that the bound is tight in the mean over the noise."""
    module, learned = started(), torch.ones(CLASSES, LATENT)
    batch = {"scores": SCORES, "one_hot": ONE_HOT, "remainder": torch.zeros(len(LABELS)), "learned": learned}
    loss = vae_loss(module, kl_warmup_share=0.0, free_bits=0.0, input_noise=0.0)
    random, parameters = random_stream(2), dict(module.named_parameters())
    drawn = torch.stack(
        [
            loss(parameters, batch, torch.randn(len(LABELS), 2 * LATENT, generator=random), torch.tensor(1.0))["loss"]
            for _ in range(2000)
        ]
    )
    expected = -torch.distributions.Normal(0.0, 1.0).log_prob(SCORES).sum(-1)
    torch.testing.assert_close(drawn.mean(0), expected, rtol=0, atol=0.25)
    torch.testing.assert_close(drawn.mean(), expected.mean(), rtol=0.01, atol=0)


def test_components_whose_shape_is_not_learned_take_no_part() -> None:
    changed = SCORES.clone()
    changed[1::2, 2] += 10  # of the class that does not learn it
    for name, values in losses(started()).items():
        torch.testing.assert_close(losses(started(), scores=changed)[name], values)


def test_the_kl_warms_up_over_its_share_of_the_training() -> None:
    module = started()
    halfway = losses(module, kl_warmup_share=0.5, progress=0.25)
    torch.testing.assert_close(halfway["loss"], halfway["reconstruction"] + 0.5 * halfway["kl"])
    after = losses(module, kl_warmup_share=0.5, progress=0.75)
    torch.testing.assert_close(after["loss"], after["reconstruction"] + after["kl"])


def test_free_bits_cost_nothing() -> None:
    values = losses(started(), free_bits=100.0)
    of_batch = 100.0 * LEARNED[LABELS].mean(0).sum()
    torch.testing.assert_close(values["loss"], values["reconstruction"] + of_batch)


def kl_of_units(module: ConditionalVae) -> torch.Tensor:
    mean, log_variance = module.encode(SCORES, ONE_HOT)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    return torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))


def test_bits_are_free_in_the_mean_over_a_batch_as_their_paper_has_it() -> None:
    """Between the least and the most that a clip costs in a unit, where clamping each clip differs from the mean."""
    learned = torch.ones(CLASSES, LATENT)
    mask = (torch.arange(len(LABELS)) < 30).float()
    of_units = kl_of_units(started())[:30]
    free = float(of_units.mean(0).sort().values[1]) - 1e-3
    assert (of_units < free).any()
    values = losses(started(), learned=learned, mask=mask, free_bits=free)
    expected = of_units.mean(0).clamp(min=free).sum()
    assert expected < of_units.clamp(min=free).mean(0).sum() - 1e-2
    torch.testing.assert_close((values["loss"] - values["reconstruction"])[:30], expected.expand(30))


@pytest.mark.parametrize(
    ("clips", "components", "units"), [(7, 6, 0), (8, 7, 1), (32, 31, 4), (32, 3, 3), (400, 256, 5)]
)
def test_a_shape_is_learned_along_one_component_for_every_eight_clips(clips: int, components: int, units: int) -> None:
    learned = learned_components(torch.tensor([clips]), torch.tensor([components]), 5)
    assert learned.tolist() == [[1.0] * units + [0.0] * (5 - units)]
