"""What figures mean in words: sound, collapsed, off-class or memorised."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from feda2v_cli.verifier.inspection import SMALLEST_SPREAD

Word = Literal["sound", "collapsed", "off-class", "memorised"]

#: Samples that reach less of what clips recall have lost the data's variety, like those with less of its spread.
#: (Collapsed models that were measured recalled nothing; sound ones 0.8 of the floor.)
SMALLEST_RECALL_SHARE = 0.25
#: Below this share of the accuracy that clips teach, samples do not look like their class. For one class it is lower:
#: there are few clips of one class.
SMALLEST_ACCURACY_SHARE = 0.7
SMALLEST_CLASS_ACCURACY_SHARE = 0.34
#: A class of which clips themselves teach less says nothing of samples.
SMALLEST_JUDGED_ACCURACY = 0.5
#: Chance alone gives ½. Less spread brings samples nearer too, but not to this.
LARGEST_NEARER_SHARE = 0.95


@dataclass(frozen=True)
class Figure:
    """One figure, over several draws of samples.

    Attributes:
        value: its mean.
        low: lower end of its 95 % confidence interval.
        high: upper end.
        floor: what real clips reach in the samples' place.
        baseline: what Gaussians fitted to the same clips reach.
    """

    value: float
    low: float
    high: float
    floor: float | None
    baseline: float | None


#: Figures by name; None where one has no meaning.
NamedFigures = Mapping[str, Figure | None]


@dataclass(frozen=True)
class Verdict:
    """A word and the figures that speak for it; the first of several defects is the word."""

    word: Word
    reasons: tuple[str, ...]


def verdict(overall: NamedFigures, per_class: Mapping[str, NamedFigures]) -> Verdict:
    """Judge figures.

    A collapsed set is also near its clips and teaches little; those are consequences, and are not looked for in it.
    Of a single class it is the other way round: samples of another class in its place may have less spread.
    """
    narrow = list(_narrow(per_class))
    if overall_collapse := list(_collapsed(overall)):
        return Verdict("collapsed", (*overall_collapse, *narrow))
    defects: dict[Word, list[str]] = {
        "off-class": list(_off_class(overall, per_class)),
        "collapsed": narrow,
        "memorised": list(_memorised(overall, per_class)),
    }
    for word, reasons in defects.items():
        if reasons:
            return Verdict(word, tuple(chain.from_iterable(defects.values())))  # the first is the word, all are told
    return Verdict("sound", tuple(_sound(overall)))


def _narrow(per_class: Mapping[str, NamedFigures]) -> Iterator[str]:
    for name, figures in per_class.items():
        yield from _little_spread(f" of {name}", figures)


def _little_spread(where: str, figures: NamedFigures) -> Iterator[str]:
    spread = figures["spread"]
    if spread is not None and spread.value < SMALLEST_SPREAD:
        yield f"the samples{where} have {spread.value:.2f} of the spread of the clips, below {SMALLEST_SPREAD}"


def _collapsed(overall: NamedFigures) -> Iterator[str]:
    yield from _little_spread("", overall)
    recall = overall["recall"]
    if recall is not None and recall.floor and recall.value < SMALLEST_RECALL_SHARE * recall.floor:
        yield (
            f"the samples recall {recall.value:.2f} of the clips held out, clips {recall.floor:.2f}: "
            f"below {SMALLEST_RECALL_SHARE} of it"
        )


def _off_class(overall: NamedFigures, per_class: Mapping[str, NamedFigures]) -> Iterator[str]:
    for where, figures in _places(overall, per_class):
        tstr, trtr = figures["tstr"], figures["trtr"]
        if tstr is None or trtr is None:
            continue
        smallest, reachable = SMALLEST_ACCURACY_SHARE, trtr.value
        if where:
            # Of a class few clips are held out, and some are hard: Gaussians of the same clips have to do better too.
            smallest, reachable = SMALLEST_CLASS_ACCURACY_SHARE, min(trtr.value, tstr.baseline or 0.0)
            if reachable < SMALLEST_JUDGED_ACCURACY:
                continue
        if tstr.value < smallest * reachable:
            yield (
                f"a probe trained on samples names {tstr.value:.2f} of the clips held out{where}, "
                f"one trained on clips {trtr.value:.2f}: below {smallest} of it"
            )


def _memorised(overall: NamedFigures, per_class: Mapping[str, NamedFigures]) -> Iterator[str]:
    for where, figures in _places(overall, per_class):
        share, spread = figures["memorised"], figures["spread"]
        if share is not None and spread is not None and share.value > LARGEST_NEARER_SHARE:
            yield (
                f"samples{where} are nearer to a clip that trained than other clips are in {share.value:.2f} of "
                f"the pairs, above {LARGEST_NEARER_SHARE}; chance gives 0.50"
            )
            if not where:
                return  # what holds for all need not be said of each


def _sound(overall: NamedFigures) -> Iterator[str]:
    tstr, trtr, recall = overall["tstr"], overall["trtr"], overall["recall"]
    if tstr is not None and trtr is not None and trtr.value:
        yield f"TSTR is {tstr.value / trtr.value:.2f} of TRTR"
    if recall is not None and recall.floor:
        yield f"recall is {recall.value / recall.floor:.2f} of the floor"
    for name, words in (("spread", "of the spread of the clips"), ("memorised", "nearer than other clips")):
        figure = overall[name]
        if figure is not None:
            yield f"{figure.value:.2f} {words}"


def _places(overall: NamedFigures, per_class: Mapping[str, NamedFigures]) -> Iterator[tuple[str, NamedFigures]]:
    """Figures, and what they are about in words."""
    yield "", overall
    for name, figures in per_class.items():
        yield f" of {name}", figures
