from typing import Any

import pytest

from feda2v_cli.legacy.config.nodes import LABELS


def node(**keys: Any) -> dict[str, Any]:
    return {"dataset": "ESC50", "selected_classes": ["dog"]} | keys


def test_ids_are_numbers_and_comments_between_nodes_are_comments(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"_comment": "all of them", "3": node(), "_note": ["two", "lines"], "1": node()})

    assert [found["id"] for found in result.value("nodes")] == [3, 1]
    assert "[[nodes]]\n# all of them\nid = 3\n" in result.text
    assert "[[nodes]]\n# two\n# lines\nid = 1\n" in result.text


def test_no_selection_means_all_classes_of_the_data_set(converted) -> None:  # type: ignore[no-untyped-def]
    assert len(converted(nodes={"0": {"dataset": "ESC50"}}).value("nodes.0.classes")) == 50


def test_excluded_classes_are_taken_out_of_all(converted) -> None:  # type: ignore[no-untyped-def]
    classes = converted(nodes={"0": node(selected_classes=None, excluded_classes=["Dog", 1])}).value("nodes.0.classes")

    assert len(classes) == 48
    assert not {"dog", "rooster"} & set(classes)


@pytest.mark.parametrize(("data_set", "count"), [("esc50", 50), ("vegas", 10)])
def test_label_tables_hold_every_class_once(data_set: str, count: int) -> None:
    assert len(set(LABELS[data_set])) == len(LABELS[data_set]) == count


def test_numbers_are_read_with_the_label_table(converted) -> None:  # type: ignore[no-untyped-def]
    assert converted(nodes={"0": node(selected_classes=[0, 49, 44])}).value("nodes.0.classes") == [
        "dog",
        "hand_saw",
        "engine",
    ]


def test_train_classes_that_are_all_classes_are_not_written(converted) -> None:  # type: ignore[no-untyped-def]
    assert converted(nodes={"0": node(generator_train_classes=["dog"])}).value("nodes.0.train_classes") is None


def test_a_granularity_like_all_others_is_not_written(converted) -> None:  # type: ignore[no-untyped-def]
    nodes = {"0": node(generator_granularity="unified"), "1": node(generator_granularity="per_class")}

    assert [found["granularity"] for found in converted(nodes=nodes).value("nodes")] == [None, "per_class"]


def test_a_node_of_its_own_group_needs_no_groups(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        feda2v={"generator_granularity": "per_group"}, nodes={"0": node(generator_class_group="animals")}
    )

    assert result.value("nodes.0.group") == "animals"


def test_classes_in_no_group_form_the_group_other(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        feda2v={"generator_granularity": "per_group", "generator_class_groups": {"a": ["dog"], "b": ["thunder"]}},
        nodes={"0": node(selected_classes=["dog", "rain", "cow"])},
    )

    assert result.value("generator.groups") == {"a": ["dog"], "b": ["thunder"], "other": ["rain", "cow"]}
    assert 'in no group: rain, cow; they form the group "other", as before' in result.warnings


@pytest.mark.parametrize("groups", [None, {}])
def test_no_groups_are_no_groups(groups: Any, converted) -> None:  # type: ignore[no-untyped-def]
    assert converted(feda2v={"generator_class_groups": groups}).value("generator.groups") == {}


@pytest.mark.parametrize("data_set", ["VEGAS", "VGGSound", "Audio Set"])
def test_a_data_set_that_is_not_supported_never_runs_on_other_data(data_set: str, converted) -> None:  # type: ignore[no-untyped-def]
    nodes = {"0": node(), "1": node(dataset=data_set), "2": node(dataset=data_set)}
    result = converted(nodes=nodes)

    root = f"data/{data_set.replace(' ', '_')}"
    assert [found["root"] for found in result.value("nodes")] == [None, root, root]
    assert [found["classes"] for found in result.value("nodes")] == [["dog"]] * 3
    assert result.warnings.count(f"{data_set} is not supported yet: the classes are kept") == 2
    assert f"# {data_set} is not supported yet: put its clips here, in the ESC-50 layout\n" in result.text


def test_one_root_serves_when_all_nodes_have_one_unsupported_data_set(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": node(dataset="VEGAS"), "1": node(dataset="VEGAS")})

    assert (result.value("data.dataset"), result.value("data.root")) == ("esc50", "data/VEGAS")
    assert [found["root"] for found in result.value("nodes")] == [None, None]


def test_a_data_set_that_is_not_supported_is_a_problem_under_strict(refusal) -> None:  # type: ignore[no-untyped-def]
    assert 'nodes.0.dataset = "VEGAS" — VEGAS is not supported yet' in refusal(
        nodes={"0": node(dataset="VEGAS")}, strict=True
    )


def test_folds_are_counted_from_1(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": node(train_folds=[0, "2"], test_folds=[1])})

    assert (result.value("data.train_folds"), result.value("data.test_folds")) == ([1, 3], [2])


def test_folds_that_are_counted_from_1_already_stay(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": node(train_folds=[1, 2, 3], test_folds=[5])})

    assert (result.value("data.train_folds"), result.value("data.test_folds")) == ([1, 2, 3], [5])
    assert "taken as numbered from 1 to 5" in result.warnings


def test_the_folds_of_most_nodes_count(converted) -> None:  # type: ignore[no-untyped-def]
    nodes = {"0": node(test_folds=[0]), "1": node(test_folds=[1]), "2": node(test_folds=[1])}
    result = converted(nodes=nodes)

    assert result.value("data.test_folds") == [2]
    assert (
        "nodes.0.test_folds = [0] — other nodes differ, and one choice serves all: 2, counted from 1" in result.warnings
    )


def test_folds_that_are_switched_off_are_dropped(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": node(use_folds=False, train_folds=[0, 1])})

    assert result.value("data.train_folds") == [1, 2, 3, 4]
    assert "nodes.0.train_folds" in [drop["key"] for drop in result.report["dropped"]]


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        (None, "old.json:1:2 nodes — the section is missing, expected one node at least: "),
        ({}, "old.json:1:2 nodes — expected nodes by their ids: "),
        ({"_comment": "none"}, "old.json:1:2 nodes — expected nodes by their ids: "),
        ([], "old.json:1:2 nodes = [] — expected nodes by their ids: "),
        ({"a": node()}, "nodes.a — expected an id as a key of nodes: a whole number in quotes, like "),
        ({"-1": node()}, "nodes.-1 — expected an id as a key of nodes: a whole number in quotes, like "),
        ({"0": 3}, "nodes.0 = 3 — expected the keys of a node: "),
        ({"1": node(), "01": node()}, 'nodes.01 — the same id as "1": give every node an id of its own'),
        ({"0": node(selected_classes="dog")}, 'selected_classes = "dog" — expected a list of classes, like ["dog"'),
        ({"0": node(selected_classes=[])}, "leaves the node without a class of ESC50: expected one at least"),
        ({"0": node(selected_classes=[50])}, "selected_classes.0 = 50 — expected the name of a class, or 0 to 49"),
        ({"0": node(selected_classes=[True])}, 'selected_classes.0 = true — expected the name of a class, like "dog"'),
        ({"0": node(excluded_classes=["dog"])}, "leaves the node without a class of ESC50: expected one at least"),
        ({"0": {"dataset": "VGGSound"}}, "no selected_classes means all, and those of VGGSound are not known: list"),
        ({"0": node(train_folds=[7])}, "train_folds = [7] — expected a list of folds from 0 to 4, like [0, 1, 2, 3]"),
        (
            {"0": node(train_folds=[0, 1], test_folds=[1])},
            "fold 2 (counted from 1) is in train_folds and in",
        ),
        ({"0": node(train_folds=[0, 5])}, "there are folds 0 and 5 in this file: count from 0 to 4, or from 1 to 5"),
        ({"0": node(train_folds=[0, 1, 2, 3, 4])}, "takes all folds, none is left to train or to test on"),
        ({"0": node(generator_granularity="per-class")}, "nodes.0.generator_granularity = "),
        (
            {"0": node(clip_adapter_learning_rate=0)},
            "clip_adapter_learning_rate = 0 — expected a number above 0",
        ),
    ],
)
def test_a_broken_node_is_answered_with_its_place_and_what_to_write(nodes: Any, problem: str, refusal) -> None:  # type: ignore[no-untyped-def]
    message = refusal(nodes=nodes)

    assert message.startswith("old.json has 1 problem\n  old.json:1:")
    assert problem in message


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ([], "generator_class_groups = [] — expected groups with their classes: "),
        ({"a": "dog"}, 'generator_class_groups.a = "dog" — expected a list of class names, like ["dog", "cow"]'),
        ({"a": [3]}, "generator_class_groups.a = [3] — expected a list of class names"),
        ({"?": ["dog"]}, 'generator_class_groups.? = ["dog"] — expected the name of a group'),
        ({"a": ["dog"], "A": ["cow"]}, 'generator_class_groups.A = ["cow"] — the group a a second time'),
        ({"a": ["?"]}, 'generator_class_groups.a.0 = "?" — expected the name of a class, like "dog"'),
        ({"a": ["dog"], "b": ["Dog"]}, 'generator_class_groups.b.0 = "Dog" — in the group a too: write it in one of'),
    ],
)
def test_broken_groups_are_answered_with_their_place(groups: Any, problem: str, refusal) -> None:  # type: ignore[no-untyped-def]
    assert problem in refusal(feda2v={"generator_class_groups": groups})


def test_a_group_without_classes_is_left_out(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(feda2v={"generator_class_groups": {"a": [], "b": ["dog", "dog"]}})

    assert result.value("generator.groups") == {"b": ["dog"]}
    assert "generator_class_groups.a = [] — a group without classes, left out" in result.warnings


def test_all_problems_are_told_at_once_in_the_order_of_the_file(refusal) -> None:  # type: ignore[no-untyped-def]
    text = """\
{
  "federation": {"global_rounds": 0, "local_epochs": "many", "eval_gap": 2.5},
  "training": [],
  "feda2v": {"generator_granularity": "per-class", "generator_training_epochs": null},
  "nodes": {"0": {"dataset": "ESC50", "selected_classes": [99, "dog"]}, "x": {}}
}"""

    assert refusal(text).splitlines() == [
        "old.json has 7 problems",
        "  old.json:2:18 federation.global_rounds = 0 — expected a whole number from 1 to 1000000",
        '  old.json:2:38 federation.local_epochs = "many" — expected a whole number from 1 to 1000000',
        "  old.json:2:62 federation.eval_gap = 2.5 — expected a whole number from 1 to 1000000",
        '  old.json:3:3 training = [] — expected a section: "training": { … }',
        '  old.json:4:14 feda2v.generator_granularity = "per-class" — expected one of unified, per_class, per_group, '
        'auto; did you mean "per_class"?',
        "  old.json:5:60 nodes.0.selected_classes.0 = 99 — expected the name of a class, or 0 to 49",
        '  old.json:5:73 nodes.x — expected an id as a key of nodes: a whole number in quotes, like "0"',
    ]
