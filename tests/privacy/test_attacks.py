from dataclasses import replace

import torch
from generator_samples import SMALL, spec

from feda2v_cli.engine.random_stream import random_stream
from feda2v_cli.generator.gaussian import GaussianFitting
from feda2v_cli.generator.generator import Generator
from feda2v_cli.generator.projection import Projection
from feda2v_cli.generator.training_set import training_set
from feda2v_cli.privacy.advantage import Advantage
from feda2v_cli.privacy.inquiry import (
    Suspects,
    attack_by_samples,
    attack_files,
    attack_with_public_clips,
    strongest,
)
from feda2v_cli.privacy.two_files import MOST_TRAINED, TwoFiles, told_by_trainings
from feda2v_cli.privacy.verdict import judgement
from feda2v_cli.profile.schema import GeneratorSection

PRIVATE, TELLING = SMALL.model_copy(update={"rank": "auto"}), SMALL.model_copy(update={"rank": 96})


def clips(count: int, number: int) -> torch.Tensor:
    """Clips of one kind, of which many directions vary: [clips, 96]."""
    random = random_stream(5, number)
    deviations = torch.arange(1, 97, dtype=torch.float) ** -0.5
    return torch.randn(count, 96, generator=random) * deviations + 3


def trained(members: torch.Tensor, section: GeneratorSection) -> Generator:
    data = training_set(spec(), members.view(-1, 1, 96), ["dog"] * len(members), section)
    return GaussianFitting([data], section).generator(0)


def suspects(section: GeneratorSection) -> list[Suspects]:
    members = clips(40, 0)
    return [Suspects(trained(members, section), "dog", members, clips(200, 1))]


def test_a_file_of_all_axes_tells_every_clip() -> None:
    attacks = attack_files(suspects(TELLING))
    assert attacks["residual"].overall.auc == 1.0
    assert attacks["residual"].per_class["dog"].found_at_1_percent == 1.0
    assert judgement(attacks, "residual", None).word == "telling"


def test_a_file_of_few_axes_tells_few() -> None:
    attacks = attack_files(suspects(PRIVATE))
    name = strongest(attacks)
    assert name is not None
    assert 0.5 < attacks[name].overall.auc < 0.95
    assert attacks[name].overall.found_at_1_percent < 0.5


def test_no_attack_tells_clips_that_did_not_train() -> None:
    generator = trained(clips(40, 0), TELLING)
    innocent = [Suspects(generator, "dog", clips(300, 2), clips(300, 3))]
    for attack in (attack_files(innocent), attack_with_public_clips(innocent), attack_by_samples(innocent)):
        for found in attack.values():
            assert found.overall.low < 0.5 < found.overall.high or abs(found.overall.auc - 0.5) < 0.06


def test_two_files_that_differ_by_a_clip_tell_it() -> None:
    (one,) = suspects(PRIVATE)

    def without(place: int) -> Generator:
        return trained(torch.cat([one.members[:place], one.members[place + 1 :]]), PRIVATE)

    assert told_by_trainings(one, without) == [True] * MOST_TRAINED


def test_a_file_that_is_guarded_is_so_once_when_a_second_one_would_tell_a_clip() -> None:
    attacks = attack_files(suspects(PRIVATE))
    harmless = {
        name: replace(attack, overall=Advantage(0.6, 0.5, 0.7, 0.05, None, 40, 200)) for name, attack in attacks.items()
    }
    assert judgement(harmless, "residual", TwoFiles.of([([False] * 8, 40)])).word == "guarded"
    once = judgement(harmless, "residual", TwoFiles.of([([True] * 4, 40), ([True] * 4, 10)]))
    assert once.word == "guarded once"
    told = "two files that differ by one clip tell 100% of 8 such clips (68% to 100%, 6.2% by chance)"
    assert once.reasons[-1] == f"{told}: publish this set once"
    assert judgement(harmless, "residual", None).word == "guarded once"


def test_clips_that_chance_picks_are_no_reason_to_publish_once() -> None:
    attacks = attack_files(suspects(PRIVATE))
    harmless = {
        name: replace(attack, overall=Advantage(0.6, 0.5, 0.7, 0.05, None, 40, 200)) for name, attack in attacks.items()
    }
    one_of_eight = TwoFiles.of([([True] + [False] * 7, 8)] * 4)
    assert one_of_eight is not None
    assert one_of_eight.share == one_of_eight.by_chance == 0.125
    assert judgement(harmless, "residual", one_of_eight).word == "guarded"


def test_a_covariance_of_few_clips_on_axes_that_are_not_theirs_tells_them() -> None:
    members, axes = clips(40, 0), Projection.pca(clips(300, 4), 64, 1.0)
    data = replace(training_set(spec(), members.view(-1, 1, 96), ["dog"] * 40, TELLING), projection=axes)
    own = replace(data, coordinates=axes.project(members))
    generator = GaussianFitting([own], TELLING).generator(0)
    attacks = attack_files([Suspects(generator, "dog", members, clips(200, 1))])
    assert attacks["residual"].overall.auc < 0.6
    assert attacks["nearer"].overall.auc > 0.95
