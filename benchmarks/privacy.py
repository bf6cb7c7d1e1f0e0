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
from setting import Side, clips_of_seed, worth

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
from feda2v_cli.threads import small_operations

GRANULARITIES = ("unified", "per_class", "per_group")
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
    members, others = clips_of_seed(profile.embedding, seed, arguments.clips, arguments.cache)
    generators = trained(profile, members, seed, arguments.cache)
    suspects = [
        Suspects(generator, name, members[name], others[name]) for generator in generators for name in generator.classes
    ]
    attacks = {**attack_files(suspects), **attack_with_public_clips(suspects)}
    best, public = strongest(attacks), strongest(attacks, "public")
    assert best is not None
    assert public is not None
    figures = list(worth(drawn(generators, members), members, others))
    for found in (attacks[best].overall, attacks[public].overall):
        assert found.found_at_1_percent is not None
        figures += [found.auc, found.found_at_1_percent]
    return figures, best


def trained(profile: Profile, members: Side, seed: int, cache: Path) -> list[Generator]:
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
    spec: GeneratorSpec, members: Side, profile: Profile, release: Callable[..., TrainingSet] | None
) -> TrainingSet:
    values = torch.cat([members[name] for name in spec.classes])
    assert isinstance(profile.embedding.tokens, int)
    embeddings = values.view(len(values), profile.embedding.tokens, -1)
    names = [name for name in spec.classes for _ in members[name]]
    if release is not None:
        return release(spec, embeddings, names)
    return training_set(spec, embeddings, names, profile.generator)


def drawn(generators: Sequence[Generator], members: Side) -> Side:
    """Samples [clips, features] by class, as many as clips."""
    makers = {name: generator for generator in generators for name in generator.classes}
    return {name: makers[name].sample([name] * len(values), 3).flatten(1) for name, values in members.items()}


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
