"""The conditional variational autoencoder: its module, its starting point and its loss."""

import math
from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import silu

from feda2v_cli.engine.train import Loss
from feda2v_cli.generator.balanced import balanced_normal, turned
from feda2v_cli.generator.moments import ClassMoments

#: Parameters of the decoder's linear part, each [classes, …].
LINEAR_DECODER = ("class_mean", "loading", "log_scale")

#: Share of the variance along a latent's axis that the decoder's noise keeps at the start. Noise has no correlations:
#: the more of it, the farther samples stray from the directions in which clips of a class differ.
NOISE_SHARE = 1e-4

#: Least share of the mean variance that the decoder's noise has along a coordinate at the start.
SMALLEST_NOISE_SHARE = 2.5e-5


class ConditionalVae(nn.Module):
    """A VAE on whitened coordinates, told the class of each (Kingma and Welling, 2014; Sohn et al., 2015).

    The decoder is Gaussian with a learned scale for each class and coordinate, so that reconstruction and KL are both
    in nats (σ-VAE: Rybkin, Daniilidis and Levine, 2021). Beside the hidden layers run linear maps, one a class. With
    the hidden layers silent it is probabilistic PCA of each class, which is the optimum of a linear VAE (Lucas et al.,
    Don't Blame the ELBO, 2019); training starts there (`start`) and the hidden layers learn what is not linear. The
    linear maps learn with them where there are clips to learn from (`passes_through_every_clip`).

    Args:
        rank: coordinates of an embedding.
        classes: how many classes it is told apart.
        hidden: width of the hidden layers.
        latent: latent units.
    """

    def __init__(self, rank: int, classes: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.class_mean = nn.Parameter(torch.zeros(classes, rank))
        self.encoder_input = nn.Linear(rank, hidden)
        self.encoder_class = nn.Linear(classes, hidden, bias=False)
        self.encoder_hidden = nn.Linear(hidden, hidden)
        self.encoder_output = nn.Linear(hidden, 2 * latent, bias=False)
        self.latent_loading = nn.Parameter(torch.zeros(classes, latent, rank))
        self.latent_log_variance = nn.Parameter(torch.zeros(classes, latent))
        self.decoder_input = nn.Linear(latent, hidden)
        self.decoder_class = nn.Linear(classes, hidden, bias=False)
        self.decoder_hidden = nn.Linear(hidden, hidden)
        self.decoder_output = nn.Linear(hidden, rank, bias=False)
        self.loading = nn.Parameter(torch.zeros(classes, rank, latent))
        self.log_scale = nn.Parameter(torch.zeros(classes, rank))

    def encode(self, coordinates: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latent, each [batch, latent].

        Args:
            coordinates: [batch, rank].
            one_hot: [batch, classes].
        """
        hidden = silu(self.encoder_input(coordinates) + self.encoder_class(one_hot))
        hidden = silu(self.encoder_hidden(hidden))
        mean, log_variance = self.encoder_output(hidden).chunk(2, dim=-1)
        centred = coordinates - one_hot @ self.class_mean
        linear = torch.einsum("bc,czr,br->bz", one_hot, self.latent_loading, centred)
        return mean + linear, log_variance + one_hot @ self.latent_log_variance

    def decode(self, latent: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale of the coordinates, each [batch, rank].

        Args:
            latent: [batch, latent].
            one_hot: [batch, classes].
        """
        hidden = silu(self.decoder_input(latent) + self.decoder_class(one_hot))
        hidden = silu(self.decoder_hidden(hidden))
        linear = torch.einsum("bc,crz,bz->br", one_hot, self.loading, latent)
        return one_hot @ self.class_mean + linear + self.decoder_output(hidden), one_hot @ self.log_scale

    def forward(self, coordinates: Tensor, one_hot: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode, draw a latent and decode.

        Args:
            coordinates: [batch, rank].
            one_hot: [batch, classes].
            noise: [batch, latent], standard normal.

        Returns:
            Mean and log scale of the coordinates, mean and log variance of the latent.
        """
        latent_mean, log_variance = self.encode(coordinates, one_hot)
        latent = latent_mean + noise * (0.5 * log_variance).exp()
        return *self.decode(latent, one_hot), latent_mean, log_variance


def start(module: ConditionalVae, moments: ClassMoments, random: torch.Generator) -> dict[str, Tensor]:
    """Parameters to start training from: each class's probabilistic PCA, hidden layers that add nothing yet.

    The loadings of class covariance S = U Λ Uᵀ are the maximum likelihood ones, U (Λ − noise)^½, and the encoder is
    their exact posterior (Tipping and Bishop, Probabilistic Principal Component Analysis, 1999, equations 6 to 8).

    Args:
        module: says the architecture; its own parameters are not used.
        moments: mean and covariance of each class.
        random: draws the hidden layers.
    """
    parameters = {}
    for name, value in module.named_parameters():
        bound = value.shape[-1] ** -0.5
        parameters[name] = (torch.rand(value.shape, generator=random) * 2 - 1) * bound
    latent = module.decoder_input.in_features
    _, scales, axes = torch.linalg.svd(moments.roots.double(), full_matrices=False)  # axes: [classes, few, rank]
    kept = min(latent, scales.shape[-1])
    loading = torch.zeros(len(axes), axes.shape[-1], latent, dtype=torch.double)  # [classes, rank, latent]
    loading[..., :kept] = axes[:, :kept].mT * (1 - NOISE_SHARE) ** 0.5 * scales[:, None, :kept]
    variances = moments.roots.double().square().sum(-2)  # [classes, rank]
    noise = variances - loading.square().sum(-1)
    # A coordinate that never varies, or a class of one clip, still needs a scale that can be divided by.
    noise = noise.clamp(min=SMALLEST_NOISE_SHARE * variances.mean(-1, keepdim=True) + 1e-12)  # [classes, rank]
    weighted = loading.mT / noise[:, None, :]
    posterior = torch.linalg.inv(torch.eye(latent, dtype=torch.double) + weighted @ loading)
    parameters |= {
        "class_mean": moments.means,
        "encoder_output.weight": torch.zeros(module.encoder_output.weight.shape),
        "latent_loading": (posterior @ weighted).float(),
        "latent_log_variance": posterior.diagonal(dim1=-2, dim2=-1).log().float(),
        "decoder_output.weight": torch.zeros(module.decoder_output.weight.shape),
        "loading": loading.float(),
        "log_scale": (0.5 * noise.log()).float(),
    }
    return parameters


def vae_loss(module: ConditionalVae, *, kl_warmup_share: float, free_bits: float, input_noise: float) -> Loss:
    """The negative evidence lower bound in nats, a clip.

    Args:
        module: says the architecture; its own parameters are not used.
        kl_warmup_share: share of the training over which the KL term's weight grows from 0 to 1 (Bowman et al., 2016).
        free_bits: nats of each latent unit that cost nothing (Kingma et al., 2016).
        input_noise: standard deviation of noise on the encoder's input, in whitened units.

    Returns:
        A loss on items `coordinates` [clips, rank] and `one_hot` [clips, classes], with noise [clips, latent + rank];
        there is none for padding. Its constants are `kept` [rank] (1 for a coordinate of the model, 0 for padding) and
        `settled` [classes], which says of which classes the linear part of the decoder stays as it is.
    """
    latent = module.decoder_input.in_features

    def loss(
        parameters: Mapping[str, Tensor], batch: Mapping[str, Tensor], noise: Tensor, progress: Tensor
    ) -> dict[str, Tensor]:
        coordinates, kept, one_hot = batch["coordinates"], batch["kept"], batch["one_hot"]
        on_input = noise[:, latent:]
        on_input = torch.nn.functional.pad(on_input, (0, coordinates.shape[-1] - on_input.shape[-1]))
        noisy = coordinates + input_noise * on_input
        mean, log_scale, latent_mean, log_variance = functional_call(
            module, _settled(parameters, batch["settled"]), (noisy, one_hot, noise[:, :latent])
        )
        residual = (coordinates - mean) * (-log_scale).exp()
        likelihood = 0.5 * residual.square() + log_scale + 0.5 * math.log(2 * math.pi)
        reconstruction = (likelihood * kept).sum(-1)
        kl_of_unit = 0.5 * (latent_mean.square() + log_variance.exp() - 1 - log_variance)  # [batch, latent]
        kl = kl_of_unit.sum(-1)
        weight = (progress / kl_warmup_share).clamp(max=1.0) if kl_warmup_share else 1.0
        objective = reconstruction + weight * kl_of_unit.clamp(min=free_bits).sum(-1)
        return {"loss": objective, "reconstruction": reconstruction, "kl": kl}

    return loss


def passes_through_every_clip(counts: Tensor, rank: int, latent: int) -> Tensor:
    """Whether a class's probabilistic PCA has a unit for every direction in which its clips differ, [classes].

    Its law is then the clips' own covariance, and all that training can still do to the linear part is follow the
    chance of these clips.

    Args:
        counts: clips of each class.
        rank: coordinates of an embedding.
        latent: latent units.
    """
    return counts - 1 <= min(rank, latent)


def _settled(parameters: Mapping[str, Tensor], settled: Tensor) -> dict[str, Tensor]:
    """The parameters, without a gradient for the linear decoder of `settled` classes."""
    held = {}
    for name in LINEAR_DECODER:
        value = parameters[name]
        held[name] = torch.where(settled.view(-1, *[1] * (value.dim() - 1)), value.detach(), value)
    return {**parameters, **held}


class VaeSampler:
    """Draws from a trained VAE: a latent from the prior, decoded, with the decoder's noise.

    Args:
        module: with trained parameters.
    """

    type: ClassVar[str] = "vae"

    def __init__(self, module: ConditionalVae) -> None:
        self.module = module.requires_grad_(False)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """The sampler whose `state` this is."""
        classes, rank, latent = state["loading"].shape
        with torch.device("meta"):
            module = ConditionalVae(rank, classes, state["decoder_hidden.bias"].shape[0], latent)
        module.load_state_dict(dict(state), assign=True)
        return cls(module)

    @staticmethod
    def shapes(rank: int, classes: int, hidden: int, latent: int) -> dict[str, tuple[int, ...]]:
        """Shapes of its tensors by name. Nothing is allocated."""
        with torch.device("meta"):
            module = ConditionalVae(rank, classes, hidden, latent)
        return {name: tuple(value.shape) for name, value in module.named_parameters()}

    @property
    def loadings(self) -> Tensor:
        """The linear part of the decoder, [classes, rank, latent]."""
        return self.module.loading

    def draw(self, labels: Tensor, directions: Tensor, random: torch.Generator) -> Tensor:
        """Coordinates [samples, rank] of classes `labels` [samples], balanced along `directions` of the latent."""
        classes, rank, latent = self.module.loading.shape
        one_hot = torch.nn.functional.one_hot(labels, classes).float()
        drawn = turned(balanced_normal(labels, latent, random), labels, directions)
        mean, log_scale = self.module.decode(drawn, one_hot)
        return mean + log_scale.exp() * balanced_normal(labels, rank, random)

    def architecture(self) -> dict[str, int]:
        """Width of the hidden layers and number of latent units."""
        return {"hidden": self.module.decoder_hidden.in_features, "latent": self.module.decoder_input.in_features}

    def state(self) -> dict[str, Tensor]:
        """Its parameters by name."""
        return {name: value.detach() for name, value in self.module.named_parameters()}
