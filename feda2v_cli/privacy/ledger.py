"""What each clip of this machine has spent of its privacy, over all trainings. It never leaves the machine."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError
from feda2v_cli.privacy.accountant import epsilon_of

_VERSION = 1
#: Who reads the ledger can ask whether a clip is in it.
_MODE = 0o600
#: A release of ε has a budget of ε, though the sum of squares gives ε back but for the last digits.
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True)
class _Kept:
    """What the ledger's file holds.

    Attributes:
        spent: Σ m² / z² of each clip, by the hash of its content.
        releases: names of those that are in it.
    """

    spent: dict[str, float]
    releases: tuple[str, ...]


def refuse_beyond_budget(
    path: Path, releases: Iterable[Iterable[str]], noise_multiplier: float, delta: float, budget: float | None
) -> None:
    """Refuse a run before its first release where all of its releases together spend more than a budget.

    Nothing is noted: each release is charged when it is made.

    Args:
        path: of the ledger.
        releases: hashes of the contents of the clips of each.
        noise_multiplier: of every release.
        delta: at which ε is told.
        budget: the largest ε that a clip may spend over all releases; None for any.

    Raises:
        FailedError: a clip would spend more than the budget, or the ledger cannot be read.
    """
    with _opened(path) as file:
        _check(file, _after(_read(file).spent, releases, noise_multiplier), delta, budget)


def charged(path: Path) -> frozenset[str]:
    """Names of the releases that are charged.

    Raises:
        FailedError: the ledger cannot be read.
    """
    with _opened(path) as file:
        return frozenset(_read(file).releases)


def charge(
    path: Path,
    clips: Iterable[str],
    noise_multiplier: float,
    delta: float,
    budget: float | None,
    release: str | None = None,
) -> float:
    """Note that clips are about to be released, unless that spends more than a budget.

    It is noted before anything is written for others: a training that is interrupted has spent it all the same. One
    that goes on with the same release spends nothing again.

    Args:
        path: of the ledger.
        clips: hashes of their contents.
        noise_multiplier: of the release.
        delta: at which ε is told.
        budget: the largest ε that a clip may spend over all releases; None for any.
        release: a name that no other release has; None where it is kept nowhere, and cannot be made again.

    Returns:
        The largest ε that one of the clips has spent, this release included.

    Raises:
        FailedError: a clip would spend more than the budget, or the ledger cannot be read or written.
    """
    with _opened(path) as file:
        kept = _read(file)
        if release in kept.releases:
            return epsilon_of(1 / math.sqrt(max(kept.spent[clip] for clip in clips)), delta)
        after = _after(kept.spent, [clips], noise_multiplier)
        worst = _check(file, after, delta, budget)
        releases = [*kept.releases, *([] if release is None else [release])]
        content = {"version": _VERSION, "spent": kept.spent | after, "releases": releases}
        with atomic_write(file) as written:
            os.fchmod(written.fileno(), _MODE)
            written.write(json.dumps(content, indent=1).encode())
    return worst


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    """The ledger's file, which nobody else reads or writes meanwhile."""
    path = path.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield path
    except OSError as error:
        raise FailedError(
            f"the privacy ledger {path} cannot be written — {error.strerror or error}",
            hint="--set generator.ledger=FILE puts it elsewhere",
        ) from error


def _after(spent: Mapping[str, float], releases: Iterable[Iterable[str]], noise_multiplier: float) -> dict[str, float]:
    """Σ m² / z² over releases, of each clip that is released: what an exact sum of Gaussian releases needs.

    A clip that is m times in a release moves its mean m times as far.
    """
    squares: Counter[str] = Counter()
    for clips in releases:
        squares.update({clip: count**2 for clip, count in Counter(clips).items()})
    return {clip: spent.get(clip, 0.0) + square * noise_multiplier**-2 for clip, square in sorted(squares.items())}


def _check(path: Path, after: Mapping[str, float], delta: float, budget: float | None) -> float:
    """The largest ε that a clip has spent then; no more than a budget."""
    worst = epsilon_of(1 / math.sqrt(max(after.values())), delta)
    if budget is not None and worst > budget * _ROUNDING:
        over = sum(epsilon_of(1 / math.sqrt(value), delta) > budget * _ROUNDING for value in after.values())
        raise FailedError(
            f"{over} of {len(after)} clips would have spent up to ε = {worst:.3g} at δ = {delta:g} then, "
            f"generator.privacy_budget is {budget:g}",
            [f"earlier releases stand in {path}"],
            hint="share a generator that was released before, or ask for a smaller generator.epsilon",
        )
    return worst


def _read(path: Path) -> _Kept:
    if not path.is_file():
        return _Kept({}, ())
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}")
        spent = {str(clip): float(value) for clip, value in content["spent"].items()}
        return _Kept(spent, tuple(map(str, content.get("releases", ()))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FailedError(
            f"the privacy ledger {path} is damaged — {error}",
            ["what its clips have spent is not known without it"],
            hint=f"put back a copy, or take its clips for spent and remove it: rm {path}",
        ) from error
