"""Which pictures are made: of every clip by what an adapter makes of it, and by its class's true target."""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from feda2v_cli.image.adapter_output import Head
from feda2v_cli.image.album import Wanted
from feda2v_cli.job.images.subjects import UNKNOWN, Subject
from feda2v_cli.profile.schema import as_base_name

Source = Literal["adapters", "targets", "both"]


def of_adapters(
    subjects: Sequence[Subject],
    heads: Mapping[str, Head],
    standardised: Sequence[Tensor],
    owner: str,
    digest: str,
    seed: int,
) -> list[Wanted]:
    """A picture of each clip by one adapter.

    Args:
        subjects: the clips.
        heads: adapters by space.
        standardised: the embedding of each, [tokens, dim].
        owner: `server`, or a node's id.
        digest: of the adapters.
        seed: of the run; clips of one number have one seed, whatever their class.
    """
    points = {space: head(standardised) for space, head in heads.items()}
    return [
        Wanted(
            file=f"{'server' if owner == 'server' else f'node{owner}'}/{_stem(subject)}.png",
            origin={
                "source": "adapter",
                "class": subject.class_name or "",
                "clip": subject.clip.name,
                "split": subject.split,
                "node": owner,
                "adapter": digest,
            },
            point={space: values[place] for space, values in points.items()},
            seed=seed + subject.number,
        )
        for place, subject in enumerate(subjects)
    ]


def of_targets(
    subjects: Sequence[Subject], classes: Sequence[str], targets: Mapping[str, Tensor], seed: int
) -> list[Wanted]:
    """A picture of the true target for each class and number that clips have: what adapters can reach at best.

    Args:
        subjects: the clips.
        classes: of the targets.
        targets: by space, [classes, *shape], in their own units.
        seed: of the run; the same as that of the clips with the same number.
    """
    known = {subject.class_name: None for subject in subjects}
    wanted = []
    for name in (name for name in classes if name in known):
        numbers = sorted({subject.number for subject in subjects if subject.class_name == name})
        for number in numbers:
            place = classes.index(name)
            wanted.append(
                Wanted(
                    file=f"targets/{name}_{number}.png",
                    origin={"source": "target", "class": name},
                    point={space: values[place] for space, values in targets.items()},
                    seed=seed + number,
                )
            )
    return wanted


def _stem(subject: Subject) -> str:
    """File name of a clip's picture, which no other clip has."""
    stem = as_base_name(subject.clip.name.rpartition(".")[0] or subject.clip.name) or "clip"
    split = "" if subject.split in ("test", UNKNOWN) else f"_{subject.split}"
    return f"{subject.class_name or UNKNOWN}{split}_{subject.number}_{stem}"
