"""The conditional variational autoencoder: its module, its initial parameters and its loss."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import silu

from feda2v_cli.engine.of_thread import OfThread
from feda2v_cli.engine.train import Loss

#: s, share of the variance along a component that is the decoder's noise at first. Less of it, and the decoder can
#: hardly move without leaving what the encoder knows; more, and there is little left that is not noise.
NOISE_SHARE = 0.5

#: Clips of a class for each component along which its shape is learned. Along all components in which n clips differ,
#: measured in standard deviations, any n clips lie alike, at the corners of a regular simplex: there is nothing to
#: learn but which clips they were. A few components have clips enough to show a shape.
CLIPS_PER_UNIT = 8


class Linear(nn.Linear):
    """W x + b, quick for many small models at once.

    The gradient for W of inputs X and output gradients G is made as Gᵀ X, in W's own order. As PyTorch makes it, Xᵀ G,
    it has to be turned, and copied to where the weights are: a sixth of a step.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - what the parent calls it
        """Outputs [batch, out] of inputs [batch, in]."""
        output: Tensor = _Product.apply(input, self.weight)
        return output if self.bias is None else output + self.bias


class _Product(torch.autograd.Function):
    """X Wᵀ, with any axes before the two of each."""

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor) -> Tensor:
        return inputs @ weight.mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        inputs, weight = ctx.saved_tensors
        (gradient,) = gradients
        return gradient @ weight, gradient.mT @ inputs

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, int], inputs: Tensor, weight: Tensor) -> tuple[Tensor, int]:  # noqa: ARG004
        product: Tensor = _Product.apply(inputs.movedim(in_dims[0], 0), weight.movedim(in_dims[1], 0))
        return product, 0


class ConditionalVae(nn.Module):
    """A VAE on scores along the first components of a class (Kingma and Welling, 2014; Sohn et al., 2015).

    Of scores t, class c and latent z, one unit for each component, with hidden layers f, g and h:

        prior    p(z) = N(0, 1)
        decoder  p(t | z, c) = N((1 − s)^½ z + g(z, c), diag σ_c²)
        encoder  q(z | t, c) = N((1 − s)^½ t + f(t, c), diag s exp h(t, c))

    The decoder's scale σ_c is learned, for each class and component, so that reconstruction and KL are both in nats
    (σ-VAE: Rybkin, Daniilidis and Levine, 2021). The linear paths are fixed. With f, g and h zero it is probabilistic
    PCA of standardised scores, which is the optimum of a linear VAE (Lucas et al., Don't Blame the ELBO, 2019): the
    Gaussian. Training starts there (`initial_parameters`), and the hidden layers learn what is not Gaussian.

    Args:
        classes: how many it is told apart.
        hidden: width of the hidden layers.
        latent: latent units, and components.
    """

    def __init__(self, classes: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.encoder_input = Linear(latent, hidden)
        self.encoder_class = nn.Linear(classes, hidden, bias=False)
        self.encoder_hidden = Linear(hidden, hidden)
        self.encoder_output = Linear(hidden, 2 * latent, bias=False)
        self.decoder_input = Linear(latent, hidden)
        self.decoder_class = nn.Linear(classes, hidden, bias=False)
        self.decoder_hidden = Linear(hidden, hidden)
        self.decoder_output = Linear(hidden, latent, bias=False)
        self.log_scale = nn.Parameter(torch.zeros(classes, latent))

    def encode(self, scores: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent, each [batch, latent].

        Args:
            scores: [batch, latent]; zero along components whose shape is not learned.
            one_hot: [batch, classes].
        """
        hidden = silu(self.encoder_input(scores) + self.encoder_class(one_hot))
        hidden = silu(self.encoder_hidden(hidden))
        mean, log_variance = self.encoder_output(hidden).chunk(2, dim=-1)
        return mean + (1 - NOISE_SHARE) ** 0.5 * scores, log_variance + math.log(NOISE_SHARE)

    def decode(self, latent: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale of the scores, each [batch, latent].

        Args:
            latent: z, [batch, latent]; zero in units of components whose shape is not learned.
            one_hot: [batch, classes].
        """
        hidden = silu(self.decoder_input(latent) + self.decoder_class(one_hot))
        hidden = silu(self.decoder_hidden(hidden))
        return (1 - NOISE_SHARE) ** 0.5 * latent + self.decoder_output(hidden), one_hot @ self.log_scale

    def forward(
        self, scores: Tensor, one_hot: Tensor, learned: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode, draw a latent and decode.

        Args:
            scores: [batch, latent].
            one_hot: [batch, classes].
            learned: 1 for a component whose shape is learned, [batch, latent].
            noise: ε, [batch, latent], standard normal.

        Returns:
            Mean and log scale of the scores, mean and log variance of the latent.
        """
        latent_mean, log_variance = self.encode(learned * scores, one_hot)
        # z = μ + σ ε, through which the gradient passes (Kingma and Welling, 2014, section 2.4).
        latent = latent_mean + noise * (0.5 * log_variance).exp()
        return *self.decode(learned * latent, one_hot), latent_mean, log_variance


def initial_parameters(module: ConditionalVae, random: torch.Generator) -> dict[str, Tensor]:
    """Initial parameters: the Gaussian, with hidden layers that add nothing yet.

    Of scores with variance 1 = w² + σ², with w² = 1 − s and σ² = s (`NOISE_SHARE`), the encoder is the exact posterior
    p(z | t) = N(w t / (w² + σ²), σ² / (w² + σ²)) = N((1 − s)^½ t, s) (Tipping and Bishop, Probabilistic Principal
    Component Analysis, 1999, equations 6 to 8).

    Args:
        module: says the architecture; its own parameters are not used.
        random: draws the hidden layers.
    """
    parameters = {}
    for name, value in module.named_parameters():
        bound = value.shape[-1] ** -0.5
        parameters[name] = (torch.rand(value.shape, generator=random) * 2 - 1) * bound
    for silent in ("encoder_output.weight", "decoder_output.weight"):
        parameters[silent] = torch.zeros_like(parameters[silent])
    parameters["log_scale"] = torch.full_like(parameters["log_scale"], 0.5 * math.log(NOISE_SHARE))
    return parameters


def vae_loss(module: ConditionalVae, *, kl_warmup_share: float, free_bits: float, input_noise: float) -> Loss:
    """The negative evidence lower bound in nats, a clip (Kingma and Welling, 2014, equations 3 and 10).

        −log p(t | c) ≤ −E_q(z | t, c)[log p(t | z, c)] + β KL(q(z | t, c) ‖ p(z))    at β = 1

    of the components whose shape is learned, and the Gaussian's −log p of the others. The expectation is of one draw
    of z; β grows from 0 to 1 while the KL term warms up.

    Args:
        module: says the architecture; its own parameters are not used.
        kl_warmup_share: share of the training over which the KL term's weight grows from 0 to 1 (Bowman et al., 2016).
        free_bits: λ, nats of each latent unit that cost nothing in the mean over a batch.
        input_noise: standard deviation of noise on the encoder's input, in standard deviations of the clips.

    Returns:
        A loss on items `scores` [clips, latent], `one_hot` [clips, classes] and `remainder` [clips], which is the
        negative log likelihood of what the VAE does not see, with noise [clips, 2 × latent] and the constant `learned`
        [classes, latent]: 1 for a component whose shape is learned, 0 for one that takes no part.
    """
    latent = module.decoder_input.in_features
    modules = OfThread(module)

    def loss(
        parameters: Mapping[str, Tensor], batch: Mapping[str, Tensor], noise: Tensor, progress: Tensor
    ) -> dict[str, Tensor]:
        scores, one_hot = batch["scores"], batch["one_hot"]
        learned = one_hot @ batch["learned"]
        mean, log_scale, latent_mean, log_variance = functional_call(
            modules.own,
            dict(parameters),
            (scores + input_noise * noise[:, latent:], one_hot, learned, noise[:, :latent]),
        )
        # −log N(t; μ, σ²) = ½ ((t − μ) / σ)² + log σ + ½ log 2π, of each component.
        residual = (scores - mean) * (-log_scale).exp()
        likelihood = 0.5 * residual.square() + log_scale + 0.5 * math.log(2 * math.pi)
        reconstruction = (learned * likelihood).sum(-1) + batch["remainder"]
        # KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − log σ²), of each unit (ibid., appendix B).
        kl_of_unit = 0.5 * (latent_mean.square() + log_variance.exp() - 1 - log_variance)  # [batch, latent]
        kl = (learned * kl_of_unit).sum(-1)
        weight = (progress / kl_warmup_share).clamp(max=1.0) if kl_warmup_share else 1.0
        cost = kl if free_bits == 0 else _beyond_free_bits(kl_of_unit, learned, batch["mask"], free_bits)
        return {"loss": reconstruction + weight * cost, "reconstruction": reconstruction, "kl": kl}

    return loss


def _beyond_free_bits(kl_of_unit: Tensor, learned: Tensor, mask: Tensor, free_bits: float) -> Tensor:
    """What the KL costs a batch, [].

        Σ_j max(λ, E_batch[KL(q(z_j | t, c) ‖ p(z_j))])

    (Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016, appendix C.8, equation 15;
    every unit is a group). Of the mean over the batch, not of each clip: a unit may use its λ on few clips. A unit that
    some classes of the batch do not learn has so much less for free.

    Args:
        kl_of_unit: of each clip and unit, [batch, latent].
        learned: 1 where a clip's class learns a unit, [batch, latent].
        mask: 1 for clips that count, [batch].
        free_bits: λ.
    """
    counts = (learned * mask[:, None]) / mask.sum()  # [batch, latent]
    return torch.maximum((counts * kl_of_unit).sum(0), free_bits * counts.sum(0)).sum()


def learned_components(counts: Tensor, components: Tensor, latent: int) -> Tensor:
    """Along which components of each class the shape is learned: 1 or 0, [classes, latent].

    Args:
        counts: clips of each class.
        components: how many each class has.
        latent: latent units.
    """
    units = torch.minimum(counts // CLIPS_PER_UNIT, components)
    return (torch.arange(latent) < units[:, None]).float()
