"""All attacks on a set of generators, with what its owner has: clips that trained, and clips that did not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.granularity import GeneratorSpec
from feda2v_cli.generator.training_set import training_set
from feda2v_cli.privacy.advantage import Advantage
from feda2v_cli.privacy.attacks import (
    FILE_ATTACKS,
    PUBLIC_ATTACKS,
    SAMPLES,
    PublicModel,
    file_scores,
    nearest_sample_scores,
    public_scores,
)
from feda2v_cli.profile.schema import GeneratorSection

#: Scores of members, and of others.
Pair = tuple[Tensor, Tensor]
#: Clips of a class that training attacks, at most.
MOST_ATTACKED = 200
_LEFT_OUT = 4
_SEED = 314_159
_HALVES = (0, 1)


@dataclass(frozen=True)
class Suspects:
    """Clips of one class, and the generator that some of them trained.

    Attributes:
        generator: the file.
        name: of the class.
        members: clips of the class that trained it, [members, features].
        others: clips of the class that did not, [others, features].
    """

    generator: Generator
    name: str
    members: Tensor
    others: Tensor


@dataclass(frozen=True)
class Attack:
    """What one attack finds.

    Attributes:
        needs: what the attacker has: the `file`, the file and `public` clips of the same kinds, `samples` alone, or the
            file and a noisy `copy` of the clip.
        overall: of all classes together.
        per_class: of each class by name.
    """

    needs: str
    overall: Advantage
    per_class: dict[str, Advantage]


def attack_files(suspects: Sequence[Suspects], needs: str = "file") -> dict[str, Attack]:
    """The attacks that need the file and the candidate alone, by name."""

    def scores(one: Suspects) -> dict[str, Pair]:
        both = file_scores(one.generator, one.name, torch.cat([one.members, one.others]))
        return {name: _split(values, one) for name, values in both.items()}

    return _attacks(FILE_ATTACKS, needs, suspects, scores)


def attack_in_training(
    spec: GeneratorSpec, embeddings: Tensor, class_names: Sequence[str], section: GeneratorSection
) -> Advantage | None:
    """What a file of a generator's clips tells of them, without any other clip; None of classes that are too small.

    A Gaussian of the first `MOST_ATTACKED` clips of each class, but for every fourth, is attacked: those that trained
    it are told from the fourths. It is a little easier than with all clips.

    Args:
        spec: of the generator.
        embeddings: of its clips, [clips, tokens, dim].
        class_names: of each clip.
        section: says how it is trained.
    """
    places = {name: [at for at, own in enumerate(class_names) if own == name][:MOST_ATTACKED] for name in spec.classes}
    if min(map(len, places.values())) < 2 * _LEFT_OUT:
        return None
    trained = [at for own in places.values() for place, at in enumerate(own) if place % _LEFT_OUT]
    names = [class_names[at] for at in trained]
    try:
        data = training_set(spec, embeddings[trained], names, section)
    except ValueError:  # clips that do not differ, which training tells
        return None
    generator = GaussianFitting([data], section).generator(0)
    values = embeddings.flatten(1)
    suspects = [
        Suspects(generator, name, values[[at for at in own if at not in own[::_LEFT_OUT]]], values[own[::_LEFT_OUT]])
        for name, own in places.items()
    ]
    attacks = attack_files(suspects)
    name = strongest(attacks)
    return None if name is None else attacks[name].overall


def attack_with_public_clips(suspects: Sequence[Suspects]) -> dict[str, Attack]:
    """The attacks that need other clips of the same kinds too; none where a class has fewer than two.

    One half of the others tells what clips of their kinds are like, and the attack is made on the other half; then the
    other way round. So no clip that is judged is in what it is judged by.
    """
    if any(len(one.others) < len(_HALVES) for one in suspects):
        return {}
    models: list[dict[int, PublicModel]] = [{} for _ in _HALVES]
    places: dict[int, int] = {}
    for features, alike in _of_kinds(suspects).items():
        for half in _HALVES:
            known = [one.others[half :: len(_HALVES)] for one in alike]
            labels = torch.cat([torch.full((len(values),), place) for place, values in enumerate(known)])
            models[half][features] = PublicModel.of(torch.cat(known), labels, len(known))
        places |= {id(one): place for place, one in enumerate(alike)}

    def scores(one: Suspects) -> dict[str, Pair]:
        found: dict[str, list[Pair]] = {name: [] for name in PUBLIC_ATTACKS}
        for half in _HALVES:
            other = 1 - half
            part = Suspects(one.generator, one.name, one.members[half::2], one.others[other::2])
            both = torch.cat([part.members, part.others])
            of_half = public_scores(one.generator, one.name, both, models[half][both.shape[1]], places[id(one)])
            for name, values in of_half.items():
                found[name].append(_split(values, part))
        return {name: _joined(pairs) for name, pairs in found.items()}

    return _attacks(PUBLIC_ATTACKS, "public", suspects, scores)


def attack_by_samples(suspects: Sequence[Suspects]) -> dict[str, Attack]:
    """The attacks that need samples alone: how near the nearest of so many of a class is."""
    deviations = {kind: torch.cat([one.members for one in alike]).std(0) for kind, alike in _of_kinds(suspects).items()}
    scales = {kind: torch.where(deviation > 0, deviation, 1.0) for kind, deviation in deviations.items()}

    def scores(one: Suspects) -> dict[str, Pair]:
        scale = scales[one.members.shape[1]]
        clips = torch.cat([one.members, one.others]) / scale
        samples = one.generator.sample([one.name] * max(SAMPLES), _SEED).flatten(1) / scale
        return {_of_samples(count): _split(nearest_sample_scores(samples[:count], clips), one) for count in SAMPLES}

    return _attacks([_of_samples(count) for count in SAMPLES], "samples", suspects, scores)


def strongest(attacks: Mapping[str, Attack], needs: str = "file") -> str | None:
    """The name of the attack with the highest AUC of those that need something; None where there is none."""
    return max(
        (name for name, attack in attacks.items() if attack.needs == needs),
        key=lambda name: attacks[name].overall.auc,
        default=None,
    )


def _of_kinds(suspects: Sequence[Suspects]) -> dict[int, list[Suspects]]:
    """Those whose embeddings have as many features, by that number."""
    kinds: dict[int, list[Suspects]] = {}
    for one in suspects:
        kinds.setdefault(one.members.shape[1], []).append(one)
    return kinds


def _attacks(
    names: Sequence[str],
    needs: str,
    suspects: Sequence[Suspects],
    scores: Callable[[Suspects], Mapping[str, Pair]],
) -> dict[str, Attack]:
    found = [(one, scores(one)) for one in suspects]
    if not found:
        return {}
    return {name: _attack(needs, [(one.name, by_name[name]) for one, by_name in found], len(names)) for name in names}


def _attack(needs: str, found: Sequence[tuple[str, Pair]], attacks: int) -> Attack:
    of_class: dict[str, list[Pair]] = {}
    for name, pair in found:
        of_class.setdefault(name, []).append(pair)
    per_class = {name: Advantage.of(*_joined(pairs), attacks) for name, pairs in of_class.items()}
    return Attack(needs, Advantage.of(*_joined([pair for _, pair in found]), attacks), per_class)


def _joined(pairs: Sequence[Pair]) -> Pair:
    members, others = zip(*pairs, strict=True)
    return torch.cat(members), torch.cat(others)


def _split(values: Tensor, one: Suspects) -> Pair:
    return values[: len(one.members)], values[len(one.members) :]


def _of_samples(count: int) -> str:
    return f"{count}_samples"
