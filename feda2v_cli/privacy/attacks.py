"""Membership inference: scores of clips that are higher for those that trained a generator.

An attacker holds the file of a generator and the embedding of a clip, and asks whether the clip trained it. What a file
holds of a class is its mean m, axes A with the covariance L Lᵀ + R² of coordinates, and variances D beyond the axes.
Axes fit the clips that they were fitted to better than others: of such a clip's deviation from the mean more lies in
the axes, and less beyond. A covariance that is fitted to few clips spreads along each of them, on whatever axes. And
the mean of few clips is nearer to each of them than the mean of their kind is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.generator.generator import Generator

#: Attacks that need the file alone.
FILE_ATTACKS = ("residual", "weighted", "share", "axes", "near", "nearer", "ratio", "likelihood")
#: Those that need other clips of the same kinds too.
PUBLIC_ATTACKS = ("mean", "likelihood_ratio")
#: Numbers of samples that an attacker is given in place of the file.
SAMPLES = (10, 40, 1000)
#: Samples by which the scores of a class are put on a common scale: who holds the file draws them too.
CALIBRATION_SAMPLES = 200
_SEED = 271_828
_TINY = 1e-12


@dataclass(frozen=True)
class Released:
    """What a file tells of the distribution of a class, in the embedding's own units and double precision.

    Attributes:
        mean: m, [features].
        axes: A, [rank, features], orthonormal; None where every feature is a coordinate.
        scale: deviation of each coordinate of all clips that the axes were fitted to, [rank].
        loadings: L, [rank, components].
        variances: R², [rank].
        remainder: D, [features]; zeros where the file says nothing of it.
    """

    mean: Tensor
    axes: Tensor | None
    scale: Tensor
    loadings: Tensor
    variances: Tensor
    remainder: Tensor

    @classmethod
    def of(cls, generator: Generator, label: int) -> Self:
        """What is in a generator of its class number `label`."""
        state = {name: value.double() for name, value in generator.state().items()}
        scale, axes = state["projection.scale"], state.get("projection.axes")
        mean = state["projection.mean"]
        moved = state["model.means"][label] * scale
        beyond = state.get("projection.remainder", torch.zeros(1, dtype=torch.double))
        own = state.get("model.remainder", torch.zeros_like(state["model.means"]))[label]
        return cls(
            mean + (moved if axes is None else moved @ axes),
            axes,
            scale,
            state["model.loadings"][label] * scale[:, None],
            (own * scale).square(),
            beyond.square().repeat(len(mean) // len(beyond)),
        )

    def scores(self, clips: Tensor) -> dict[str, Tensor]:
        """Scores [clips] by the name of the attack, of clips [clips, features].

        With x the coordinates of a clip around the class's mean, and r what it has beyond the axes:

            residual    −log ‖r‖²
            weighted    −log rᵀ D⁻¹ r
            share       log ‖x‖² − log ‖r‖²
            axes        log xᵀ (L Lᵀ + R²)⁻¹ x: members lie farther out along axes that were fitted to them
            near        −log xᵀ (L Lᵀ + R²)⁻¹ x: and nearer where the covariance was
            nearer      near + log xᵀ s⁻² x, with s the scale: nearer than to a class of which nothing is known
            ratio       axes + weighted
            likelihood  log N(x; 0, L Lᵀ + R²) + log N(r; 0, D), but for a constant
        """
        centred = clips.double() - self.mean
        inside = centred if self.axes is None else centred @ self.axes.T
        distance = self._distance(inside)
        axes = (distance + _TINY).log()
        known = ((inside / self.scale).square().sum(1) + _TINY).log()
        inside_alone = {"axes": axes, "near": -axes, "nearer": known - axes}
        if self.axes is None:
            nothing = torch.zeros_like(axes)
            return dict.fromkeys(FILE_ATTACKS, nothing) | inside_alone | {"likelihood": -0.5 * distance}
        beyond = centred - inside @ self.axes
        smallest = 1e-9 * max(float(self.remainder.max()), _TINY)
        weighted = (beyond.square() / self.remainder.clamp(min=smallest)).sum(1)
        left, right = beyond.square().sum(1), inside.square().sum(1)
        return {
            "residual": -(left + _TINY).log(),
            "weighted": -(weighted + _TINY).log(),
            "share": (right + _TINY).log() - (left + _TINY).log(),
            **inside_alone,
            "ratio": axes - (weighted + _TINY).log(),
            "likelihood": -0.5 * (distance + weighted),
        }

    def _distance(self, inside: Tensor) -> Tensor:
        """xᵀ (L Lᵀ + R²)⁻¹ x [clips], by Woodbury's formula: L is narrow and R² diagonal.

        R² is not taken below a millionth of the mean variance, or a clip outside the span of L were at no distance.
        """
        floor = 1e-6 * float((self.loadings.square().sum(1) + self.variances).mean()) + _TINY
        inverse = 1 / self.variances.clamp(min=floor)
        within = torch.eye(self.loadings.shape[1], dtype=torch.double)
        within = within + self.loadings.T @ (inverse[:, None] * self.loadings)
        weighted = inside * inverse
        along = weighted @ self.loadings
        solved: Tensor = torch.linalg.solve(within, along.T).T
        return (inside * weighted).sum(1) - (along * solved).sum(1)


@dataclass(frozen=True)
class PublicModel:
    """What an attacker knows from other clips of the same kinds: N(μ_k, Σ) of each class, with one covariance.

    Of features in units of their deviation s within classes, Σ has variances λ along axes V and ρ beyond them.

    Attributes:
        means: μ, [classes, features].
        scale: s, [features].
        axes: V, [rank, features], orthonormal.
        variances: λ, [rank].
        rest: ρ.
    """

    means: Tensor
    scale: Tensor
    axes: Tensor
    variances: Tensor
    rest: float

    @classmethod
    def of(cls, clips: Tensor, labels: Tensor, classes: int) -> Self:
        """The model of clips.

        Args:
            clips: [clips, features].
            labels: [clips]; every class has a clip.
            classes: how many there are.
        """
        values = clips.double()
        means = torch.stack([values[labels == label].mean(0) for label in range(classes)])
        freedom = max(1, len(values) - classes)
        within = (values - means[labels]) / freedom**0.5
        scale = within.square().sum(0).sqrt()
        scale = torch.where(scale > 0, scale, 1.0)
        _, deviations, axes = torch.linalg.svd(within / scale, full_matrices=False)
        kept = max(1, freedom // 3)
        rest = float(deviations[kept:].square().sum()) / max(1, values.shape[1] - kept)
        variances = deviations[:kept].square().clamp(min=_TINY)
        return cls(means, scale, axes[:kept], variances, max(rest, _TINY))

    def scores(self, clips: Tensor, label: int, released: Released, likelihood: Tensor) -> dict[str, Tensor]:
        """Scores [clips] by the name of the attack.

            mean              (x − μ)ᵀ Σ⁻¹ (m − μ) / ‖x − μ‖: whether the mean m of few clips leans towards this one
                              (Homer et al., 2008, with the norm ‖·‖ that Σ⁻¹ gives)
            likelihood_ratio  log p(x | file) − log N(x; μ, Σ)

        Args:
            clips: x, [clips, features].
            label: of their class.
            released: of their class.
            likelihood: log p(x | file), [clips].
        """
        apart = (clips.double() - self.means[label]) / self.scale
        leaning = ((released.mean - self.means[label]) / self.scale).expand_as(apart)
        own = self._product(apart, apart)
        return {
            "mean": self._product(apart, leaning) / own.sqrt().clamp(min=_TINY),
            "likelihood_ratio": likelihood + 0.5 * own,
        }

    def _product(self, first: Tensor, second: Tensor) -> Tensor:
        along = (first @ self.axes.T) * (second @ self.axes.T)
        return ((first * second).sum(1) - along.sum(1)) / self.rest + (along / self.variances).sum(1)


def file_scores(generator: Generator, name: str, clips: Tensor) -> dict[str, Tensor]:
    """Scores of the attacks that need the file alone, in units of what samples of the class score, [clips].

    Args:
        generator: the file.
        name: of the class.
        clips: of the class, [clips, features].
    """
    released = Released.of(generator, generator.classes.index(name))
    samples = generator.sample([name] * CALIBRATION_SAMPLES, _SEED).flatten(1)
    return _calibrated(released.scores(clips), released.scores(samples))


def public_scores(generator: Generator, name: str, clips: Tensor, model: PublicModel, label: int) -> dict[str, Tensor]:
    """Scores of the attacks that need the file and other clips of the same kinds, likewise.

    Args:
        generator: the file.
        name: of the class.
        clips: of the class, [clips, features].
        model: of the other clips.
        label: of the class in the model.
    """
    released = Released.of(generator, generator.classes.index(name))
    samples = generator.sample([name] * CALIBRATION_SAMPLES, _SEED).flatten(1)
    sides = [
        model.scores(values, label, released, released.scores(values)["likelihood"]) for values in (clips, samples)
    ]
    return _calibrated(*sides)


def nearest_sample_scores(samples: Tensor, clips: Tensor) -> Tensor:
    """Minus the distance of each clip to the nearest of some samples, [clips].

    Args:
        samples: of the class, [samples, features], standardised.
        clips: of the class, [clips, features], standardised.
    """
    return -torch.cdist(clips.double(), samples.double()).amin(1)


def _calibrated(scores: Mapping[str, Tensor], of_samples: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (values - of_samples[name].mean()) / of_samples[name].std().clamp(min=_TINY)
        for name, values in scores.items()
    }
