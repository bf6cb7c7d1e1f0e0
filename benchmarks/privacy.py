"""What generators tell of their clips, beside what their samples are worth: the table of docs/privacy.md.

    python benchmarks/privacy.py                                 32 clips a class, three seeds
    python benchmarks/privacy.py --clips 400 --seeds 1           more of them
    python benchmarks/privacy.py --set generator.rank=256        another setting
    python benchmarks/privacy.py --granularities unified --types gaussian --set generator.projection=public \
        --set generator.epsilon=8                                with a promise

Built-in sounds that no fold holds: every seed trains on others, and 100 of each class are left to judge by. The attacks
are those of `feda2v audit`, on more clips than a user holds out. Half a minute a line at 32 clips on one core, once the
embeddings are in the cache, which takes 20 ms a clip.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from setting import sounds_of_no_fold

from feda2v_cli.data.builtin import CLIPS_PER_CLASS
from feda2v_cli.data.sounds import SOUNDS
from feda2v_cli.embedding.embed import embed
from feda2v_cli.embedding.encoder import make_encoder
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.granularity import GeneratorSpec, generator_specs
from feda2v_cli.generator.registry import GENERATORS
from feda2v_cli.generator.training_set import TrainingSet, training_set
from feda2v_cli.job.public_basis import coordinates_of, public_basis
from feda2v_cli.privacy.inquiry import Suspects, attack_files, attack_with_public_clips, strongest
from feda2v_cli.privacy.release import Promise, released_set
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import Profile
from feda2v_cli.quality.neighbours import Distances, neighbourhood
from feda2v_cli.quality.probe import Probe
from feda2v_cli.threads import small_operations

GRANULARITIES = ("unified", "per_class", "per_group")
#: Sounds of each class that judge.
OTHERS = 100
#: Sounds of the classes by which seeds are apart.
TAKES_OF_A_SEED = 500
COLUMNS = ("TSTR", "TSTR/TRTR", "recall", "file AUC", "at 1 %", "public AUC", "at 1 %")


@small_operations()
def main() -> None:
    arguments = _arguments()
    print("granularity  type      " + "".join(f"{name:>11}" for name in COLUMNS) + "  strongest", flush=True)
    for granularity in arguments.granularities:
        for kind in arguments.types:
            settings = [f"generator.type={kind}", f"generator.granularity={granularity}", *arguments.settings]
            profile = load_profile(granularity, settings=settings, environment={}).profile
            rows = [_measured(profile, seed, arguments) for seed in range(arguments.seeds)]
            means = [fmean(column) for column in zip(*(figures for figures, _ in rows), strict=True)]
            print(f"{granularity:13}{kind:10}" + "".join(f"{value:11.3f}" for value in means), end="")
            print(f"  {', '.join(sorted({best for _, best in rows}))}", flush=True)


def _measured(profile: Profile, seed: int, arguments: argparse.Namespace) -> tuple[list[float], str]:
    clips = _embedded(profile, seed, arguments.clips, arguments.cache)
    members = {name: values[: arguments.clips] for name, values in clips.items()}
    others = {name: values[arguments.clips :] for name, values in clips.items()}
    generators = _trained(profile, members, seed, arguments.cache)
    suspects = [
        Suspects(generator, name, members[name], others[name]) for generator in generators for name in generator.classes
    ]
    attacks = {**attack_files(suspects), **attack_with_public_clips(suspects)}
    best, public = strongest(attacks), strongest(attacks, "public")
    assert best is not None
    assert public is not None
    figures = list(_worth(generators, members, others))
    for found in (attacks[best].overall, attacks[public].overall):
        assert found.found_at_1_percent is not None
        figures += [found.auc, found.found_at_1_percent]
    return figures, best


def _embedded(profile: Profile, seed: int, count: int, cache: Path) -> dict[str, torch.Tensor]:
    """Embeddings [clips, features] by class: those that train first."""
    encoder = make_encoder(profile.embedding, torch.device("cpu"))
    first = CLIPS_PER_CLASS + seed * TAKES_OF_A_SEED
    sounds = sounds_of_no_fold(list(SOUNDS), first + count + OTHERS)
    found = {}
    for name in SOUNDS:
        own = [clip for clip in sounds if clip.class_name == name and clip.take >= first]
        found[name] = embed(own[: count + OTHERS], encoder, cache).values.flatten(1)
    return found


def _trained(profile: Profile, members: dict[str, torch.Tensor], seed: int, cache: Path) -> list[Generator]:
    section = profile.generator
    release = None
    if section.projection == "public":
        encoder = make_encoder(profile.embedding, torch.device("cpu"))
        cached = profile.model_copy(update={"embedding": profile.embedding.model_copy(update={"cache": cache})})
        basis = public_basis(cached, encoder, coordinates_of(profile))
        promise = None if section.epsilon is None else Promise.of(section.epsilon, section.delta, basis)
        release = partial(released_set, basis=basis, promise=promise)
    sets = [_training_set(spec, members, profile, release) for spec in generator_specs(profile)]
    kind = GENERATORS[section.type]
    fitting = kind.fitting(sets, section, learning_rate=section.learning_rate, seed=seed, device=torch.device("cpu"))
    for number in range(1, (1 if kind.closed_form else section.rounds) + 1):
        fitting.train_round(number)
    return [fitting.generator(place) for place in range(len(sets))]


def _training_set(
    spec: GeneratorSpec, members: dict[str, torch.Tensor], profile: Profile, release: Callable[..., TrainingSet] | None
) -> TrainingSet:
    values = torch.cat([members[name] for name in spec.classes])
    assert isinstance(profile.embedding.tokens, int)
    embeddings = values.view(len(values), profile.embedding.tokens, -1)
    names = [name for name in spec.classes for _ in members[name]]
    if release is not None:
        return release(spec, embeddings, names)
    return training_set(spec, embeddings, names, profile.generator)


def _worth(
    generators: Sequence[Generator], members: dict[str, torch.Tensor], others: dict[str, torch.Tensor]
) -> tuple[float, float, float]:
    """TSTR, its share of TRTR, and the share of the clips' recall."""
    makers = {name: generator for generator in generators for name in generator.classes}
    drawn = {name: makers[name].sample([name] * len(values), 3).flatten(1) for name, values in members.items()}
    clips = torch.cat(list(members.values()))
    mean, scale = clips.mean(0), clips.std(0)
    sides = [{name: (values - mean) / scale for name, values in side.items()} for side in (drawn, members, others)]
    accuracies = [_accuracy(side, sides[2]) for side in sides[:2]]
    recalls = [
        fmean(neighbourhood(Distances.of(sides[2][name], side[name])).recall for name in side) for side in sides[:2]
    ]
    return accuracies[0], accuracies[0] / accuracies[1], recalls[0] / recalls[1]


def _accuracy(training: dict[str, torch.Tensor], judging: dict[str, torch.Tensor]) -> float:
    values, labels = _with_labels(training)
    probe = Probe.trained(values, labels, len(training))
    return float(probe.hits(*_with_labels(judging)).double().mean())


def _with_labels(side: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    labels = [torch.full((len(values),), place) for place, values in enumerate(side.values())]
    return torch.cat(list(side.values())), torch.cat(labels)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=32, help="of a class, that train")
    parser.add_argument("--granularities", nargs="+", default=GRANULARITIES, choices=GRANULARITIES)
    parser.add_argument("--types", nargs="+", default=tuple(GENERATORS), choices=tuple(GENERATORS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/feda2v"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
