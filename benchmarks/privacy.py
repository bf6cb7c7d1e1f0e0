"""What generators tell of their clips, beside what their samples are worth.

    python benchmarks/privacy.py table                           the table of docs/privacy.md, as it stands there
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from federate import one_shot
from setting import Side, clips_of_seed, with_labels, worth

from feda2v_cli.embedding.encoder import make_encoder
from feda2v_cli.federation.synthetic import NodeGenerator
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
PUBLIC = ["generator.type=gaussian", "generator.projection=public"]
#: Settings by row of the table. What is released on a public basis is one point a class, whatever the granularity.
ROWS = {
    **{f"default, {name}": [f"generator.granularity={name}"] for name in GRANULARITIES},
    "public basis": PUBLIC,
    **{f"public basis, ε = {epsilon}": [*PUBLIC, f"generator.epsilon={epsilon}"] for epsilon in (8, 4, 2, 1)},
}
#: Seeds of the table by clips a class.
SEEDS = {32: 3, 400: 1}


@dataclass(frozen=True)
class Measured:
    """What generators are worth, and what they tell.

    Attributes:
        figures: as `COLUMNS` has them.
        strongest: attack with the file alone.
        one_shot: accuracy after one-shot federation; None where it was not asked for.
    """

    figures: tuple[float, ...]
    strongest: str
    one_shot: float | None


@small_operations()
def main() -> None:
    arguments = _arguments()
    if arguments.what == "table":
        table(arguments)
        return
    print("granularity  type      " + "".join(f"{name:>11}" for name in COLUMNS) + "  strongest", flush=True)
    for granularity in arguments.granularities:
        for kind in arguments.types:
            settings = [f"generator.type={kind}", f"generator.granularity={granularity}", *arguments.settings]
            rows = [
                measured(settings, arguments.clips or 32, seed, arguments.cache) for seed in range(arguments.seeds or 3)
            ]
            print(f"{granularity:13}{kind:10}" + "".join(f"{value:11.3f}" for value in _means(rows)), end="")
            print(f"  {', '.join(sorted({row.strongest for row in rows}))}", flush=True)


def table(arguments: argparse.Namespace) -> None:
    """The table of docs/privacy.md, as Markdown."""
    print("| generators | clips a class | TSTR | TSTR / TRTR | recall | file | with public clips | one shot |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for clips, seeds in SEEDS.items():
        if arguments.clips not in (None, clips):
            continue
        for name, settings in ROWS.items():
            rows = [
                measured(settings, clips, seed, arguments.cache, federate=True)
                for seed in range(arguments.seeds or seeds)
            ]
            tstr, share, recall, file, file_found, public, public_found = _means(rows)
            accuracy = fmean(row.one_shot for row in rows if row.one_shot is not None)
            print(
                f"| {name} | {clips} | {tstr:.3f} | {share:.3f} | {recall:.3f} | {file:.2f}, {file_found:.1%} | "
                f"{public:.2f}, {public_found:.1%} | {accuracy:.3f} |".replace("%", " %"),
                flush=True,
            )


def measured(settings: Sequence[str], clips: int, seed: int, cache: Path, *, federate: bool = False) -> Measured:
    """Train generators and measure them.

    Args:
        settings: of the profile.
        clips: of a class, that train.
        seed: of the training, and of the choice of sounds.
        cache: of embeddings.
        federate: with one-shot federation.
    """
    profile = load_profile("unified", settings=settings, environment={}).profile
    members, others = clips_of_seed(profile.embedding, seed, clips, cache)
    generators = trained(profile, members, seed, cache)
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
    accuracy = None
    if federate:
        specs = generator_specs(profile)
        made = [NodeGenerator(spec.node, spec.key, one) for spec, one in zip(specs, generators, strict=True)]
        judging = {name: others[name] for name in profile.classes}
        values, labels = with_labels(judging)
        accuracy = one_shot([f"experiment.seed={seed}"], made, _with_tokens(values, profile), labels)
    return Measured(tuple(figures), best, accuracy)


def _means(rows: Sequence[Measured]) -> list[float]:
    return [fmean(column) for column in zip(*(row.figures for row in rows), strict=True)]


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
    embeddings = _with_tokens(values, profile)
    names = [name for name in spec.classes for _ in members[name]]
    if release is not None:
        return release(spec, embeddings, names)
    return training_set(spec, embeddings, names, profile.generator)


def _with_tokens(values: torch.Tensor, profile: Profile) -> torch.Tensor:
    """Embeddings [clips, tokens, dim] of features [clips, features]."""
    assert isinstance(profile.embedding.tokens, int)
    return values.view(len(values), profile.embedding.tokens, -1)


def drawn(generators: Sequence[Generator], members: Side) -> Side:
    """Samples [clips, features] by class, as many as clips."""
    makers = {name: generator for generator in generators for name in generator.classes}
    return {name: makers[name].sample([name] * len(values), 3).flatten(1) for name, values in members.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["lines", "table"], default="lines")
    parser.add_argument("--clips", type=int, help="of a class, that train; unset: 32, and all of the table")
    parser.add_argument("--granularities", nargs="+", default=GRANULARITIES, choices=GRANULARITIES)
    parser.add_argument("--types", nargs="+", default=tuple(GENERATORS), choices=tuple(GENERATORS))
    parser.add_argument("--seeds", type=int, help="unset: 3, and in the table one at 400 clips a class")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/feda2v"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
