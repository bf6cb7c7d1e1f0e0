"""What benchmarks of quality have in common: what a seed changes, sounds to test on, and what samples are worth."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch

from feda2v_cli.data.builtin import CLIPS_PER_CLASS, BuiltinClip
from feda2v_cli.data.sounds import SOUNDS
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.encoder import make_encoder
from feda2v_cli.profile.schema import EmbeddingSection
from feda2v_cli.quality.neighbours import Distances, neighbourhood
from feda2v_cli.quality.probe import Probe

FOLDS = (1, 2, 3, 4, 5)
#: Sounds of each class that judge.
OTHERS = 100
#: Sounds of the classes by which seeds are apart.
TAKES_OF_A_SEED = 500
#: Embeddings [clips, features] by class.
Side = dict[str, torch.Tensor]


def settings_of_seed(seed: int, place: str) -> list[str]:
    """Settings for a profile: another held-out fold for every seed, and all files in a place."""
    held_out = FOLDS[-1 - seed % len(FOLDS)]
    return [
        f"experiment.seed={seed}",
        f"experiment.runs='{place}/runs'",
        f"data.test_folds=[{held_out}]",
        f"data.train_folds={[fold for fold in FOLDS if fold != held_out]}",
        f"checkpoint.dir='{place}/generators'",
        f"checkpoint.adapter_dir='{place}/adapters'",
        "checkpoint.every=0",
    ]


def sounds_of_no_fold(classes: Sequence[str], per_class: int) -> list[BuiltinClip]:
    """Built-in sounds that no fold holds: as many as it takes to tell close figures apart."""
    takes = range(CLIPS_PER_CLASS, CLIPS_PER_CLASS + per_class)
    return [BuiltinClip(f"{name}-{take}.wav", name, 0, take=take) for name in classes for take in takes]


def clips_of_seed(section: EmbeddingSection, seed: int, count: int, cache: Path) -> tuple[Side, Side]:
    """Embeddings of so many clips of each class that train, and of those that judge; no fold holds one of them."""
    encoder = make_encoder(section, torch.device("cpu"))
    first = CLIPS_PER_CLASS + seed * TAKES_OF_A_SEED
    sounds = sounds_of_no_fold(list(SOUNDS), first + count + OTHERS)
    members, others = {}, {}
    for name in SOUNDS:
        own = [clip for clip in sounds if clip.class_name == name and clip.take >= first][: count + OTHERS]
        values = embed(own, encoder, cache).values.flatten(1)
        members[name], others[name] = values[:count], values[count:]
    return members, others


def worth(drawn: Side, members: Side, others: Side) -> tuple[float, float, float]:
    """TSTR of samples, its share of TRTR, and the share of the clips' recall."""
    clips = torch.cat(list(members.values()))
    mean, scale = clips.mean(0), clips.std(0)
    sides = [{name: (values - mean) / scale for name, values in side.items()} for side in (drawn, members, others)]
    accuracies = [_accuracy(side, sides[2]) for side in sides[:2]]
    recalls = [
        fmean(neighbourhood(Distances.of(sides[2][name], side[name])).recall for name in side) for side in sides[:2]
    ]
    return accuracies[0], accuracies[0] / accuracies[1], recalls[0] / recalls[1]


def _accuracy(training: Side, judging: Side) -> float:
    values, labels = with_labels(training)
    probe = Probe.trained(values, labels, len(training))
    return float(probe.hits(*with_labels(judging)).double().mean())


def with_labels(side: Side) -> tuple[torch.Tensor, torch.Tensor]:
    """All of a side, [clips, features], and the place of each one's class, [clips]."""
    labels = [torch.full((len(values),), place) for place, values in enumerate(side.values())]
    return torch.cat(list(side.values())), torch.cat(labels)
