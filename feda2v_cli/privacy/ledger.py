"""What each clip of this machine has spent of its privacy, over all trainings. It never leaves the machine."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError
from feda2v_cli.privacy.accountant import epsilon_of

_VERSION = 1


def charge(path: Path, clips: Iterable[str], noise_multiplier: float, delta: float, budget: float | None) -> float:
    """Note that clips are about to be released, unless that spends more than a budget.

    It is noted before anything is trained: a training that is interrupted has spent it all the same.

    Args:
        path: of the ledger.
        clips: hashes of their contents.
        noise_multiplier: of the release.
        delta: at which ε is told.
        budget: the largest ε that a clip may spend over all releases; None for any.

    Returns:
        The largest ε that one of the clips has spent, this release included.

    Raises:
        FailedError: a clip would spend more than the budget, or the ledger cannot be read or written.
    """
    path = path.expanduser()
    wanted = sorted(set(clips))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            spent = _read(path)
            # Σ 1 / z² over releases, of each clip: what an exact sum of Gaussian releases needs.
            after = {clip: spent.get(clip, 0.0) + noise_multiplier**-2 for clip in wanted}
            worst = epsilon_of(1 / math.sqrt(max(after.values())), delta)
            if budget is not None and worst > budget:
                over = sum(epsilon_of(1 / math.sqrt(value), delta) > budget for value in after.values())
                raise FailedError(
                    f"{over} of {len(wanted)} clips would have spent up to ε = {worst:.3g} at δ = {delta:g} then, "
                    f"generator.privacy_budget is {budget:g}",
                    [f"earlier releases stand in {path}"],
                    hint="share a generator that was released before, or ask for a smaller generator.epsilon",
                )
            with atomic_write(path) as file:
                file.write(json.dumps({"version": _VERSION, "spent": spent | after}, indent=1).encode())
    except OSError as error:
        raise FailedError(
            f"the privacy ledger {path} cannot be written — {error.strerror or error}",
            hint="--set generator.ledger=FILE puts it elsewhere",
        ) from error
    return worst


def _read(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}")
        return {str(clip): float(value) for clip, value in content["spent"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FailedError(
            f"the privacy ledger {path} is damaged — {error}",
            ["what its clips have spent is not known without it"],
            hint=f"put back a copy, or take its clips for spent and remove it: rm {path}",
        ) from error
