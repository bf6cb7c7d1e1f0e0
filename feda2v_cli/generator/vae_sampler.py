"""Draws from a trained VAE, with the mean and covariance of the clips."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.balanced import balanced_normal
from feda2v_cli.generator.principal_components import PrincipalComponents, first_columns
from feda2v_cli.generator.vae import NOISE_SHARE, ConditionalVae

#: Samples of a class from which the decoder's own mean and covariance are taken, at least, and a latent unit.
SAMPLES_MIN = 8192
SAMPLES_PER_UNIT = 64

#: A variance below this, of scores whose variance is one, is of a component of which the decoder makes nothing.
SMALLEST_VARIANCE = 1e-6


class VaeSampler:
    """Draws latents from the prior and decodes them, with the decoder's noise.

    A VAE makes less of the variance than the clips have, the less of it the longer it trains. For the bound holds one
    term that a sample sees: of N clips it averages

        1/N Σ_n KL(q(z | t_n) ‖ p(z)) = KL(q(z) ‖ p(z)) + I_q(n; z),   q(z) = 1/N Σ_n q(z | t_n)

    (Hoffman and Johnson, ELBO Surgery, 2016). The decoder is trained on the aggregate posterior q(z), a
    sample comes from the prior p(z), and the two do not meet; and the decoder averages. So its scores t' are
    standardised, by the mean m_c and covariance C_c that it makes itself of the prior:

        z ~ N(0, 1),  t' ~ p(t | z, c),  t = C_c^(−½) (t' − m_c),  x = μ_c + L_c t + R_c ε

    Samples then have the moments of the clips, and the shape that the VAE has learned.

    Args:
        module: with trained parameters.
        components: of the classes.
        learned: 1 for a component whose shape was learned, [classes, latent]; scores along others are normal.
        shift: m, mean of the scores that the decoder makes, [classes, latent].
        whitening: C^(−½), inverse root of their covariance, [classes, latent, latent].
    """

    type: ClassVar[str] = "vae"

    def __init__(
        self, module: ConditionalVae, components: PrincipalComponents, learned: Tensor, shift: Tensor, whitening: Tensor
    ) -> None:
        self._module = module.requires_grad_(False)
        self._components = components
        self._learned = learned
        self._shift = shift
        self._whitening = whitening

    @classmethod
    def standardised(cls, module: ConditionalVae, components: PrincipalComponents, learned: Tensor) -> Self:
        """The sampler of a VAE that has just been trained."""
        classes, latent = learned.shape
        none = torch.zeros(classes, latent), torch.eye(latent).expand(classes, -1, -1)
        sampler = cls(module, components, learned, *none)
        noise = _exactly_normal(max(SAMPLES_MIN, SAMPLES_PER_UNIT * latent), 2 * latent)
        shifts, whitenings = [], []
        for label in range(classes):  # one class at a time bounds the memory
            labels = torch.full((len(noise),), label)
            made = sampler._scores(noise[:, :latent], noise[:, latent:], labels).double()
            shift = made.mean(0)
            # C = V Λ Vᵀ, and C^(−½) = V Λ^(−½) Vᵀ: of all roots the one that turns scores least.
            variances, axes = torch.linalg.eigh((made - shift).T @ (made - shift) / len(made))
            shifts.append(shift.float())
            whitenings.append((axes * variances.clamp(min=SMALLEST_VARIANCE).rsqrt() @ axes.T).float())
        return cls(module, components, learned, torch.stack(shifts), torch.stack(whitenings))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], scale: Tensor) -> Self:
        """The sampler whose `state` this is, of coordinates of a scale [rank]."""
        classes, latent = state["log_scale"].shape
        own = PrincipalComponents.from_state(state, scale)
        others = ("means", "loadings", "remainder", "learned", "shift", "whitening")
        with torch.device("meta"):
            module = ConditionalVae(classes, state["decoder_hidden.bias"].shape[0], latent)
        module.load_state_dict({name: value for name, value in state.items() if name not in others}, assign=True)
        return cls(module, own, state["learned"], state["shift"], state["whitening"])

    @staticmethod
    def shapes(rank: int, classes: int, components: int, hidden: int, latent: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name. Nothing is allocated."""
        with torch.device("meta"):
            module = ConditionalVae(classes, hidden, latent)
        return PrincipalComponents.shapes(rank, classes, components) | {
            "learned": (classes, latent),
            "shift": (classes, latent),
            "whitening": (classes, latent, latent),
            **{name: tuple(value.shape) for name, value in module.named_parameters()},
        }

    def draw(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples].

        With hidden layers that add nothing, they are those that the Gaussian draws of the same stream.
        """
        width, latent = self._components.width, self._learned.shape[1]
        normal = balanced_normal(labels, max(width, latent), random)
        shaped = self._scores(normal[:, :latent], balanced_normal(labels, latent, random), labels)
        return self._components.coordinates(torch.cat([shaped, normal[:, latent:]], dim=1)[:, :width], labels, random)

    def latent_means(self, coordinates: Tensor, labels: Tensor) -> Tensor:
        """What the encoder says of clips, [clips, latent]; zero in units of components whose shape is not learned.

        Args:
            coordinates: [clips, rank].
            labels: class of each, [clips].
        """
        learned = self._learned[labels]
        scores = first_columns(self._components.scores(coordinates, labels), learned.shape[1])
        mean, _ = self._module.encode(learned * scores, one_hot(labels, len(self._learned)).float())
        return learned * mean

    def architecture(self) -> dict[str, int]:
        """Most components of a class, width of the hidden layers and number of latent units."""
        return {
            "directions": self._components.width,
            "hidden": self._module.decoder_hidden.in_features,
            "latent": self._learned.shape[1],
        }

    def state(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        return self._components.state() | {
            "learned": self._learned,
            "shift": self._shift,
            "whitening": self._whitening,
            **{name: value.detach() for name, value in self._module.named_parameters()},
        }

    def _scores(self, normal: Tensor, other: Tensor, labels: Tensor) -> Tensor:
        """Standardised scores along the first components, [samples, latent].

        Latent z and decoder's noise ε are u and v, turned: z = (1 − s)^½ u − s^½ v and ε = s^½ u + (1 − s)^½ v. Both
        are standard normal again, and with the initial parameters (1 − s)^½ z + s^½ ε = u: what is balanced stays so.

        Args:
            normal: u, standard normal, [samples, latent].
            other: v, standard normal, [samples, latent].
            labels: class of each sample, [samples].
        """
        learned = self._learned[labels]
        linear, noisy = (1 - NOISE_SHARE) ** 0.5, NOISE_SHARE**0.5
        latent, noise = linear * normal - noisy * other, noisy * normal + linear * other
        mean, log_scale = self._module.decode(learned * latent, one_hot(labels, len(self._learned)).float())
        made = torch.where(learned > 0, mean + log_scale.exp() * noise, normal) - self._shift[labels]
        standardised = torch.empty_like(made)
        for label in torch.unique(labels):
            of_class = labels == label
            standardised[of_class] = made[of_class] @ self._whitening[label]
        return standardised


def _exactly_normal(count: int, width: int) -> Tensor:
    """Normal noise [count, width] whose mean is exactly zero and whose covariance is exactly one."""
    half = torch.randn(count // 2, width, generator=random_stream(0, "standardise"), dtype=torch.double)
    exact = (torch.linalg.qr(half).Q * (count // 2) ** 0.5).float()
    return torch.cat([exact, -exact])
