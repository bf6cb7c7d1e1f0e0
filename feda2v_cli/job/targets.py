"""`feda2v targets`: the targets of the classes as a dictionary file, and how near the classes lie to each other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feda2v_cli.embedding.hub import Fetching, ignore_text
from feda2v_cli.embedding.target import Targets, TextSources, make_targets
from feda2v_cli.embedding.target_dictionary import write_dictionary
from feda2v_cli.errors import OverwriteError
from feda2v_cli.job.machine import choose_device
from feda2v_cli.job.nodes import cache_directory
from feda2v_cli.paths import is_there
from feda2v_cli.profile.load import LoadedProfile

#: Pairs of classes that are named as those that a run will confuse.
_NAMED_PAIRS = 3


@dataclass(frozen=True)
class ClassTargets:
    """Targets of the classes of a profile.

    Attributes:
        path: the dictionary file; None when none was asked for.
        targets: of the classes.
        classes: in the order of the targets.
        nearest: for each class the nearest other, and the cosine between them, centred.
        worst: pairs of classes that lie nearest to each other: first, second, cosine.
    """

    path: Path | None
    targets: Targets
    classes: tuple[str, ...]
    nearest: tuple[tuple[str | None, float | None], ...]
    worst: tuple[tuple[str, str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "path": None if self.path is None else str(self.path),
            "targets": dict(self.targets.identity),
            "fingerprint": self.targets.fingerprint,
            "shapes": {space: list(values.shape[1:]) for space, values in self.targets.spaces.items()},
            "classes": [
                {"class": name, "nearest": near, "cosine": cosine}
                for name, (near, cosine) in zip(self.classes, self.nearest, strict=True)
            ],
            "worst_pairs": [{"classes": [one, two], "cosine": cosine} for one, two, cosine in self.worst],
        }


def class_targets(
    loaded: LoadedProfile,
    output: Path | None = None,
    *,
    force: bool = False,
    download: bool = False,
    tell: Callable[[str], None] = ignore_text,
) -> ClassTargets:
    """Make the targets that a profile names, and write them as a dictionary file.

    Args:
        loaded: the profile.
        output: the file; None writes none.
        force: overwrite it.
        download: fetch a text encoder that is not there.
        tell: is told what the user should know.

    Raises:
        OverwriteError: the file is there.
        UsageError: the profile names a space that the targets lack, or a prompt is too long.
        MissingError: the text encoder is not there.
        FailedError: the text encoder cannot be used, or the file cannot be written.
    """
    if output is not None and is_there(output) and not force:
        raise OverwriteError(f"{output} is there already", hint="--force overwrites, -o FILE writes elsewhere")
    profile = loaded.profile
    device = choose_device(profile.experiment.device)
    fetching = Fetching(download, tell)
    sources = TextSources(profile.images.pipeline, cache_directory(profile), device, fetching)
    targets = make_targets(profile.adapter, profile.classes, sources)
    tell(targets.description)
    if output is not None:
        write_dictionary(output, profile.classes, targets.spaces, targets.layout, targets.identity)
    classes = profile.classes
    cosines = targets.nearness()
    nearest: list[tuple[str | None, float | None]] = []
    for place in range(len(classes)):
        others = [(float(cosines[place, other]), other) for other in range(len(classes)) if other != place]
        cosine, other = max(others, default=(0.0, -1))
        nearest.append((classes[other], cosine) if others else (None, None))
    pairs = [
        (classes[one], classes[two], float(cosines[one, two]))
        for one in range(len(classes))
        for two in range(one + 1, len(classes))
    ]
    worst = sorted(pairs, key=lambda pair: -pair[2])[:_NAMED_PAIRS]
    return ClassTargets(output, targets, classes, tuple(nearest), tuple(worst))
