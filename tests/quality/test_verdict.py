import pytest
import torch
from quality_samples import Maker, class_mean, copied, mean_and_noise, measured, reference, shuffled, sound, swapped

from feda2v_cli.quality.measures import Labelled, summarise
from feda2v_cli.quality.verdict import Verdict, verdict


def judged(maker: Maker) -> Verdict:
    return verdict(*summarise(measured(maker), measured(sound), reference().floor))


@pytest.mark.parametrize(
    ("maker", "word"),
    [
        (sound, "sound"),
        (class_mean, "collapsed"),
        (mean_and_noise, "collapsed"),
        (copied, "memorised"),
        (shuffled, "off-class"),
        (swapped, "off-class"),
    ],
)
def test_samples_are_called_by_name(maker: Maker, word: str) -> None:
    assert judged(maker).word == word


def test_reasons_hold_the_figure_and_the_bound() -> None:
    reasons = judged(class_mean).reasons
    assert reasons[0] == "the samples have 0.05 of the spread of the clips, below 0.5"


def test_classes_that_took_each_other_s_place_are_named() -> None:
    reasons = " ".join(judged(swapped).reasons)
    assert "of cow" in reasons
    assert "of dog" in reasons
    assert "of pig" not in reasons


def test_sound_samples_say_how_near_the_floor_they_are() -> None:
    assert [reason.partition(" ")[0] for reason in judged(sound).reasons[:2]] == ["TSTR", "recall"]


def test_a_class_that_gaussians_of_its_clips_cannot_teach_either_is_no_defect() -> None:
    overall, per_class = summarise(measured(swapped), measured(swapped), reference().floor)
    reasons = verdict(overall, per_class).reasons
    assert not [reason for reason in reasons if "held out of cow" in reason]


def test_one_narrow_class_is_a_collapse_and_is_named() -> None:
    def one_narrow(draw: int) -> Labelled:
        drawn, narrow = sound(draw), class_mean(draw)
        return Labelled(torch.where((drawn.labels == 1)[:, None], narrow.values, drawn.values), drawn.labels)

    found = judged(one_narrow)
    assert found.word == "collapsed"
    assert len(found.reasons) == 1
    assert "of dog" in found.reasons[0]
