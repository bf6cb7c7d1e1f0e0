"""From figures of several draws to one figure with its interval."""

from collections.abc import Sequence
from statistics import fmean, stdev

from feda2v_cli.quality.measures import METRICS, Figures, Measured
from feda2v_cli.quality.verdict import Figure

#: 97.5 % quantiles of Student's t, from one degree of freedom on; beyond the last it is the normal's, about.
STUDENT_QUANTILES = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)
LAST_QUANTILE = 2.0


def summarise(
    draws: Sequence[Measured], baseline: Sequence[Measured], floor: Measured
) -> tuple[dict[str, Figure | None], dict[str, dict[str, Figure | None]]]:
    """Figures overall and of each class.

    Args:
        draws: of the generators, at least two.
        baseline: draws of the Gaussians.
        floor: of real clips in the samples' place.
    """
    overall = _figures([draw.overall for draw in draws], [draw.overall for draw in baseline], floor.overall)
    per_class = {
        name: _figures(
            [draw.per_class[name] for draw in draws],
            [draw.per_class[name] for draw in baseline],
            figures,
        )
        for name, figures in floor.per_class.items()
    }
    return overall, per_class


def _figures(draws: Sequence[Figures], baseline: Sequence[Figures], floor: Figures) -> dict[str, Figure | None]:
    return {name: _figure(name, draws, baseline, floor) for name in METRICS}


def _figure(name: str, draws: Sequence[Figures], baseline: Sequence[Figures], floor: Figures) -> Figure | None:
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
    """Half of the 95 % confidence interval of the mean of values, at least two."""
    freedom = len(values) - 1
    quantile = STUDENT_QUANTILES[freedom - 1] if freedom <= len(STUDENT_QUANTILES) else LAST_QUANTILE
    return float(quantile * stdev(values) / len(values) ** 0.5)
