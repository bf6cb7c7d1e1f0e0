import pytest

from feda2v_cli.generator.granularity import generator_specs
from feda2v_cli.profile.load import load_profile


def keys(profile: str, *settings: str) -> list[tuple[int, str | None, tuple[str, ...]]]:
    specs = generator_specs(load_profile(profile, settings=settings, environment={}).profile)
    return [(spec.node, spec.key, spec.classes) for spec in specs]


def test_unified_is_one_generator_a_node() -> None:
    assert keys("unified")[0] == (0, None, ("dog", "rooster", "pig", "cow", "frog"))
    assert len(keys("unified")) == 3


def test_per_class_is_one_generator_a_class() -> None:
    found = keys("per_class")
    assert len(found) == 15
    assert found[6] == (1, "sea_waves", ("sea_waves",))


def test_per_group_is_one_generator_for_each_group_that_a_node_holds() -> None:
    assert [(node, key) for node, key, _ in keys("per_group")] == [(0, "animals"), (1, "nature"), (2, "mechanical")]


def test_a_node_with_classes_of_two_groups_has_a_generator_of_each() -> None:
    found = keys("per_group", 'nodes.0.classes=["rain", "dog", "cow"]')
    assert found[:2] == [(0, "animals", ("dog", "cow")), (0, "nature", ("rain",))]


def test_a_node_may_have_a_granularity_of_its_own() -> None:
    found = keys("per_class", "nodes.1.granularity=unified")
    assert [key for node, key, _ in found if node == 1] == [None]


def test_a_node_may_form_a_group_of_its_own() -> None:
    found = keys("per_group", "nodes.0.group=farm")
    assert found[0] == (0, "farm", ("dog", "rooster", "pig", "cow", "frog"))


def test_a_node_may_train_some_of_its_classes() -> None:
    found = keys("per_class", 'nodes.0.train_classes=["cow"]')
    assert [key for node, key, _ in found if node == 0] == ["cow"]


def test_granularity_auto_is_known_from_checkpoints_alone() -> None:
    with pytest.raises(ValueError, match="auto"):
        keys("use_pretrained")
