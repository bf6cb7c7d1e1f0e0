"""All figures of samples at once, of each class and overall, beside those of real clips, and over several draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, stdev
from typing import Self

import torch
from torch import Tensor

from feda2v_cli.quality.distances import frechet_audio_distance, kernel_audio_distance
from feda2v_cli.quality.neighbours import (
    Distances,
    distances_to_the_rest,
    nearer_share,
    nearest_distances,
    neighbourhood,
)
from feda2v_cli.quality.probe import Probe
from feda2v_cli.quality.verdict import Figure

#: Names of the figures, in the order in which they are shown.
METRICS = ("tstr", "trtr", "kad", "recall", "precision", "density", "coverage", "fad", "spread", "memorised")
#: One figure of each name; None where it has no meaning, such as the accuracy of a probe that knows one class.
Figures = dict[str, float | None]

#: 97.5 % quantiles of Student's t, from one degree of freedom on; beyond the last it is the normal's, about.
STUDENT_QUANTILES = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)
LAST_QUANTILE = 2.0


@dataclass(frozen=True)
class Measured:
    """Figures of one draw of samples.

    Attributes:
        overall: of all classes together.
        per_class: of each class, by its name.
    """

    overall: Figures
    per_class: dict[str, Figures]


@dataclass(frozen=True)
class Labelled:
    """Embeddings with classes.

    Attributes:
        values: [items, features].
        labels: index of each one's class, [items].
    """

    values: Tensor
    labels: Tensor

    def of(self, label: int) -> Tensor:
        """Those of one class, [items, features]."""
        return self.values[self.labels == label]

    @classmethod
    def joined(cls, parts: "Sequence[Labelled]") -> Self:
        """Some behind others; at least one."""
        return cls(torch.cat([part.values for part in parts]), torch.cat([part.labels for part in parts]))


@dataclass(frozen=True)
class Reference:
    """Real clips that samples are held against, standardised with the figures of those that trained.

    Attributes:
        classes: names, in the order of the labels.
        trained: clips that the generators were trained on.
        held_out: clips that they have not seen.
        mean: of the clips that trained, in the embedding's own units, [features].
        scale: their deviation, [features].
    """

    classes: tuple[str, ...]
    trained: Labelled
    held_out: Labelled
    mean: Tensor = field(repr=False)
    scale: Tensor = field(repr=False)

    @classmethod
    def of(cls, classes: Sequence[str], trained: Labelled, held_out: Labelled) -> Self:
        """The reference of clips in the embedding's own units."""
        mean, scale = trained.values.mean(0), trained.values.std(0)
        scale = torch.where(scale > 0, scale, 1.0)  # a feature that never varies stays what it is
        return cls(
            tuple(classes),
            Labelled((trained.values - mean) / scale, trained.labels),
            Labelled((held_out.values - mean) / scale, held_out.labels),
            mean,
            scale,
        )

    def measuring_bytes(self, samples: int) -> int:
        """About what measuring so many samples takes in memory.

        That is, of a number of samples or clips n: values [n, features] in single and double precision, as they were
        drawn, standardised and centred, and distances and products [n, n] in double precision.
        """
        most = max(samples, len(self.trained.labels), len(self.held_out.labels))
        return most * (40 * len(self.mean) + 48 * most)

    def measure(self, samples: Labelled) -> Measured:
        """Figures of samples in the embedding's own units."""
        return self._measured(Labelled((samples.values - self.mean) / self.scale, samples.labels))

    @cached_property
    def floor(self) -> Measured:
        """What real clips reach in the samples' place: those that trained, held against those that did not.

        The spread is that of the clips held out; memorised compares each clip that trained with the others that did.
        """
        measured = self._measured(self.trained, to_trained=distances_to_the_rest)
        spreads = self._spreads(self.held_out)
        for figures, spread in zip(
            (measured.overall, *(measured.per_class[name] for name in self.classes)), spreads, strict=True
        ):
            figures["spread"] = spread
            figures["tstr"], figures["trtr"] = figures["trtr"], None
        return measured

    def _measured(self, samples: Labelled, to_trained: Callable[[Tensor], Tensor] | None = None) -> Measured:
        """Figures of standardised samples; `to_trained` gives the distance of each to the nearest clip of its class."""
        spreads = self._spreads(samples)
        tstr, trtr = self._accuracies(self._hits(samples)), self._accuracies(self._hits_of_clips)
        per_class = {}
        for label, name in enumerate(self.classes):
            own = self.trained.of(label)
            drawn = samples.of(label)
            figures = _held_against(self.held_out.of(label), drawn)
            near = to_trained(drawn) if to_trained else nearest_distances(drawn, own)
            figures["memorised"] = _memorised(near, self.held_out.of(label), own)
            per_class[name] = figures
        overall = _held_against(self.held_out.values, samples.values)
        shares = [share for figures in per_class.values() if (share := figures["memorised"]) is not None]
        overall["memorised"] = fmean(shares) if shares else None
        for place, figures in enumerate((overall, *per_class.values())):
            figures |= {"tstr": tstr[place], "trtr": trtr[place], "spread": spreads[place]}
        ordered = [{name: figures[name] for name in METRICS} for figures in (overall, *per_class.values())]
        return Measured(ordered[0], dict(zip(self.classes, ordered[1:], strict=True)))

    @cached_property
    def _hits_of_clips(self) -> Tensor:
        return self._hits(self.trained)

    def _hits(self, items: Labelled) -> Tensor:
        """Whether a probe that is trained on `items` names the class of each clip held out, bool [held out]."""
        probe = Probe.trained(items.values, items.labels, len(self.classes))
        return probe.hits(self.held_out.values, self.held_out.labels)

    def _accuracies(self, hits: Tensor) -> list[float | None]:
        """Shares of hits, overall and of each class."""
        if len(self.classes) < 2:
            return [None] * (1 + len(self.classes))
        parts = [hits, *(hits[self.held_out.labels == label] for label in range(len(self.classes)))]
        return [float(part.double().mean()) if len(part) else None for part in parts]

    def _spreads(self, items: Labelled) -> list[float | None]:
        """Spread within classes relative to that of the clips that trained, overall and of each class."""
        labels = range(len(self.classes))
        pairs = [(_scatter(items.of(label)), _scatter(self.trained.of(label))) for label in labels]
        totals = [tuple(map(sum, zip(*part, strict=True))) for part in zip(*pairs, strict=True)]
        return [_relative(*totals), *(_relative(*pair) for pair in pairs)]


def mean_over_kinds(parts: Sequence[tuple[Reference, Measured]]) -> Measured:
    """Figures of embeddings of several kinds, each measured within its own: their mean, by clips held out.

    What has no meaning within a kind, such as the accuracy of a probe that knows one class, is left out of the mean.

    Args:
        parts: of each kind its clips, and the figures; at least one.
    """
    if len(parts) == 1:
        return parts[0][1]
    overall = [(len(reference.held_out.labels), measured.overall) for reference, measured in parts]
    per_class: dict[str, list[tuple[int, Figures]]] = {}
    for reference, measured in parts:
        for label, name in enumerate(reference.classes):
            held_out = len(reference.held_out.of(label))
            per_class.setdefault(name, []).append((held_out, measured.per_class[name]))
    return Measured(_mean(overall), {name: _mean(per_class[name]) for name in sorted(per_class)})


def _mean(parts: Sequence[tuple[int, Figures]]) -> Figures:
    means: Figures = {}
    for name in METRICS:
        # The spread is of samples alone: a kind without clips held out counts a little.
        there = [(max(1, weight), value) for weight, figures in parts if (value := figures[name]) is not None]
        total = sum(weight for weight, _ in there)
        means[name] = sum(weight * value for weight, value in there) / total if there else None
    return means


def _held_against(held_out: Tensor, samples: Tensor) -> Figures:
    """Figures that need no labels. Distances between distributions need two of each at least."""
    if min(len(held_out), len(samples)) < 2:
        return dict.fromkeys(METRICS)
    points = Distances.of(held_out, samples)
    return {
        **vars(neighbourhood(points)),
        "kad": kernel_audio_distance(points),
        "fad": frechet_audio_distance(held_out, samples),
    }


def _memorised(distances: Tensor, held_out: Tensor, trained: Tensor) -> float | None:
    """How often samples are nearer to a clip that trained than clips held out are, and than clips that trained are.

    The smaller of the two shares: clips held out may lie far because they come from other recordings, clips that
    trained may lie near each other because they come from the same one, and neither makes a sample a copy.

    Args:
        distances: of each sample to the nearest clip that trained, [samples].
        held_out: clips of the class, [clips, features].
        trained: clips of the class, [clips, features].
    """
    if not len(distances) or not len(held_out) or len(trained) < 2:
        return None
    references = nearest_distances(held_out, trained), distances_to_the_rest(trained)
    return min(nearer_share(distances, reference) for reference in references)


def _scatter(values: Tensor) -> tuple[float, int]:
    """Sum of squares around the mean, and the degrees of freedom that it has."""
    centred = values.double() - values.double().mean(0) if len(values) else values.double()
    return float(centred.square().sum()), max(len(values) - 1, 0)


def _relative(items: Sequence[float], trained: Sequence[float]) -> float | None:
    """Square root of the ratio of two variances, each a sum of squares and its degrees of freedom."""
    if not items[1] or not trained[1] or not trained[0]:
        return None
    return float(((items[0] / items[1]) / (trained[0] / trained[1])) ** 0.5)


def summarise(
    draws: Sequence[Measured], baseline: Sequence[Measured], floor: Measured
) -> tuple[dict[str, Figure | None], dict[str, dict[str, Figure | None]]]:
    """Figures overall and of each class.

    Args:
        draws: of the generators, at least two.
        baseline: draws of the Gaussians.
        floor: of real clips in the samples' place.
    """
    overall = _figures_of([draw.overall for draw in draws], [draw.overall for draw in baseline], floor.overall)
    per_class = {
        name: _figures_of(
            [draw.per_class[name] for draw in draws],
            [draw.per_class[name] for draw in baseline],
            figures,
        )
        for name, figures in floor.per_class.items()
    }
    return overall, per_class


def _figures_of(draws: Sequence[Figures], baseline: Sequence[Figures], floor: Figures) -> dict[str, Figure | None]:
    return {name: _figure_of(name, draws, baseline, floor) for name in METRICS}


def _figure_of(name: str, draws: Sequence[Figures], baseline: Sequence[Figures], floor: Figures) -> Figure | None:
    values = [value for draw in draws if (value := draw[name]) is not None]
    if len(values) < len(draws):
        return None
    value = fmean(values)
    half = interval_half(values)
    if name == "trtr":  # it is of clips alone
        return Figure(value, value, value, None, None)
    compared = [other for draw in baseline if (other := draw[name]) is not None]
    return Figure(value, value - half, value + half, floor[name], fmean(compared) if compared else None)


def interval_half(values: Sequence[float]) -> float:
    """Half of the 95 % confidence interval of the mean of n values, at least two: t(0.975, n − 1) s / √n (Student)."""
    freedom = len(values) - 1
    quantile = STUDENT_QUANTILES[freedom - 1] if freedom <= len(STUDENT_QUANTILES) else LAST_QUANTILE
    return float(quantile * stdev(values) / len(values) ** 0.5)
