import pytest
import torch
from quality_samples import CLASSES, HELD_OUT, TRAINED, class_mean, clips, copied, reference, shuffled, sound
from scipy import stats

from feda2v_cli.quality.measures import METRICS, Labelled, Reference, interval_half, mean_over_kinds


@pytest.fixture(scope="module")
def judge() -> Reference:
    return reference()


def test_every_figure_is_there_overall_and_for_each_class(judge: Reference) -> None:
    found = judge.measure(sound(0))
    assert list(found.overall) == list(METRICS)
    assert {name: list(figures) for name, figures in found.per_class.items()} == {
        name: list(METRICS) for name in CLASSES
    }


def test_new_clips_reach_the_floor(judge: Reference) -> None:
    found, floor = judge.measure(sound(0)).overall, judge.floor.overall
    for name, within in {"recall": 0.2, "precision": 0.2, "kad": 0.3, "spread": 0.1, "memorised": 0.15}.items():
        assert found[name] == pytest.approx(floor[name], abs=within), name
    assert found["tstr"] == pytest.approx(floor["tstr"], abs=0.1)


def test_clips_held_out_from_elsewhere_do_not_make_samples_copies() -> None:
    held_out = clips(HELD_OUT, "held out")
    elsewhere = Labelled(held_out.values + 2, held_out.labels)
    judge = Reference.of(CLASSES, clips(TRAINED, "trained"), elsewhere)
    assert judge.measure(sound(0)).overall["memorised"] < 0.7
    assert judge.measure(copied(0)).overall["memorised"] == 1


def test_the_floor_of_tstr_is_trtr_and_trtr_has_none(judge: Reference) -> None:
    assert judge.floor.overall["tstr"] == judge.measure(sound(0)).overall["trtr"]
    assert judge.floor.overall["trtr"] is None


def test_the_spread_of_samples_around_their_class_mean_is_small(judge: Reference) -> None:
    assert judge.measure(class_mean(0)).overall["spread"] == pytest.approx(0.05, abs=0.01)


def test_copies_are_nearer_than_clips_held_out_in_every_class(judge: Reference) -> None:
    found = judge.measure(copied(0))
    assert found.overall["memorised"] == 1
    assert all(figures["memorised"] == 1 for figures in found.per_class.values())


def test_samples_with_shuffled_labels_teach_a_probe_nothing(judge: Reference) -> None:
    found = judge.measure(shuffled(0)).overall
    assert found["tstr"] < 0.5 * found["trtr"]


def test_figures_are_null_where_they_have_no_meaning() -> None:
    alone = Reference.of(CLASSES[:1], clips(TRAINED, "trained"), clips(1, "held out"))
    one = Labelled(alone.trained.values[:TRAINED], torch.zeros(TRAINED, dtype=torch.long))
    alone = Reference.of(CLASSES[:1], one, Labelled(one.values[:1] + 1, one.labels[:1]))
    found = alone.measure(one).overall
    assert [name for name, value in found.items() if value is None] == [
        "tstr", "trtr", "kad", "recall", "precision", "density", "coverage", "fad",
    ]  # fmt: skip


def test_a_class_without_clips_held_out_has_its_spread_alone() -> None:
    held_out = clips(HELD_OUT, "held out")
    kept = held_out.labels != 2
    judge = Reference.of(CLASSES, clips(TRAINED, "trained"), Labelled(held_out.values[kept], held_out.labels[kept]))
    figures = judge.measure(sound(0)).per_class["frog"]
    assert [name for name, value in figures.items() if value is not None] == ["spread"]


def test_a_feature_that_never_varies_does_no_harm() -> None:
    def with_constant(items: Labelled) -> Labelled:
        return Labelled(torch.nn.functional.pad(items.values, (0, 1), value=3.0), items.labels)

    judge = Reference.of(CLASSES, *(with_constant(clips(n, kind)) for n, kind in ((32, "trained"), (10, "held out"))))
    assert judge.measure(with_constant(sound(0))).overall["tstr"] == pytest.approx(
        reference().measure(sound(0)).overall["tstr"], abs=0.03
    )


@pytest.mark.parametrize("count", [2, 3, 5, 15, 40])
def test_the_interval_is_student_s(count: int) -> None:
    values = [float(index % 7) for index in range(count)]
    low, high = stats.t.interval(0.95, count - 1, loc=0, scale=stats.sem(values))
    assert interval_half(values) == pytest.approx((high - low) / 2, rel=0.03)


def test_figures_of_several_kinds_are_their_mean_by_clips_held_out(judge: Reference) -> None:
    alone = Reference.of(
        CLASSES[:1],
        Labelled(judge.trained.of(0), torch.zeros(TRAINED, dtype=torch.long)),
        Labelled(judge.held_out.of(0)[:2], torch.zeros(2, dtype=torch.long)),
    )
    first = judge.measure(sound(0))
    second = alone.measure(Labelled(sound(1).of(0), torch.zeros(len(sound(1).of(0)), dtype=torch.long)))
    held_out = len(judge.held_out.labels)

    found = mean_over_kinds([(judge, first), (alone, second)])

    assert mean_over_kinds([(judge, first)]) is first
    expected = (held_out * first.overall["recall"] + 2 * second.overall["recall"]) / (held_out + 2)
    assert found.overall["recall"] == pytest.approx(expected)
    assert found.overall["tstr"] == pytest.approx(first.overall["tstr"])  # which a class alone does not have
    assert found.per_class[CLASSES[1]] == pytest.approx(first.per_class[CLASSES[1]])
    spreads = first.per_class[CLASSES[0]]["spread"], second.per_class[CLASSES[0]]["spread"]
    of_class = len(judge.held_out.of(0))
    expected = (of_class * spreads[0] + 2 * spreads[1]) / (of_class + 2)
    assert found.per_class[CLASSES[0]]["spread"] == pytest.approx(expected)
