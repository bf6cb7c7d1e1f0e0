"""What attacks mean in words: guarded, guarded once, leaking or telling."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from feda2v_cli.privacy.inquiry import Attack, strongest
from feda2v_cli.privacy.two_files import TwoFiles

#: Guarded once: as long as no second file is published that a clip more or less has trained.
Word = Literal["guarded", "guarded once", "leaking", "telling"]

#: An attack above this AUC, whatever it needs, tells single clips often enough to matter.
LARGEST_GUARDED_AUC = 0.75
LARGEST_GUARDED_FOUND = 0.08
#: Above these a file is as good as a list of its clips.
LARGEST_LEAKING_AUC = 0.95
LARGEST_LEAKING_FOUND = 0.5


@dataclass(frozen=True)
class Judgement:
    """A word, and what speaks for it."""

    word: Word
    reasons: tuple[str, ...]


def judgement(attacks: Mapping[str, Attack], name: str, two_files: TwoFiles | None) -> Judgement:
    """Judge attacks by the strongest that needs a file alone, and by the strongest that needs other clips too.

    Args:
        attacks: by name.
        name: of the strongest that needs a file alone.
        two_files: what two files tell of the clip by which they differ; None where that could not be tried.
    """
    names = [name, *filter(None, (strongest(attacks, needs) for needs in ("public", "copy", "samples")))]
    word: Word = "guarded"
    for one in names:
        figures = attacks[one].overall
        found = figures.found_at_1_percent or 0.0
        if figures.auc > LARGEST_LEAKING_AUC or found > LARGEST_LEAKING_FOUND:
            word = "telling"
        elif word == "guarded" and (figures.auc > LARGEST_GUARDED_AUC or found > LARGEST_GUARDED_FOUND):
            word = "leaking"
    if word == "guarded" and (two_files is None or _tell(two_files)):
        word = "guarded once"
    return Judgement(word, (*_reasons(attacks, names), _of_two_files(two_files)))


def _tell(two_files: TwoFiles) -> bool:
    """Whether they tell more clips than is guarded, and not by chance: of few clips in a class one is soon picked."""
    return two_files.share > LARGEST_GUARDED_FOUND and two_files.low > two_files.by_chance


def _reasons(attacks: Mapping[str, Attack], names: list[str]) -> Iterator[str]:
    with_what = {
        "file": "with a file and a clip",
        "public": "with other clips of the same kinds too",
        "copy": "with a noisy copy of the clip",
        "samples": "with samples alone",
    }
    for one in names:
        figures = attacks[one].overall
        found = figures.found_at_1_percent
        share = "" if found is None else f", {found:.1%} of the members found at 1 % false alarms"
        name = one.replace("_", " ")
        yield f"{with_what[attacks[one].needs]}, AUC {figures.auc:.2f} ({name}){share}"


def _of_two_files(two_files: TwoFiles | None) -> str:
    if two_files is None:
        return "two files that differ by one clip were not tried: publish this set once"
    once = ": publish this set once" if _tell(two_files) else ""
    found = f"{two_files.share:.0%} of {two_files.clips} such clips ({two_files.low:.0%} to {two_files.high:.0%}"
    return f"two files that differ by one clip tell {found}, {two_files.by_chance:.1%} by chance){once}"
