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

    result = converted(feda2v={"use_generator": True}, nodes=nodes)

    assert [found["granularity"] for found in result.value("nodes")] == [None, "per_class"]


def test_a_node_of_its_own_group_needs_no_groups(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        feda2v={"use_generator": True, "generator_granularity": "per_group"},
        nodes={"0": node(generator_class_group="animals")},
    )

    assert result.value("nodes.0.group") == "animals"


def test_classes_in_no_group_form_the_group_other(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        feda2v={
            "use_generator": True,
            "generator_granularity": "per_group",
            "generator_class_groups": {"a": ["dog"], "b": ["thunder"]},
        },
        nodes={"0": node(selected_classes=["dog", "rain", "cow"])},
    )

    assert result.value("generator.groups") == {"a": ["dog"], "b": ["thunder"], "other": ["rain", "cow"]}
    assert 'in no group: rain, cow; they form the group "other", as before' in result.notes


@pytest.mark.parametrize("groups", [None, {}])
def test_no_groups_are_no_groups(groups: Any, converted) -> None:  # type: ignore[no-untyped-def]
    assert converted(feda2v={"generator_class_groups": groups}).value("generator.groups") == {}


@pytest.mark.parametrize(("data_set", "layout"), [("VEGAS", "vegas"), ("VGGSound", "vggsound"), ("Audio Set", None)])
def test_no_data_set_ever_runs_on_another(data_set: str, layout: str | None, converted) -> None:  # type: ignore[no-untyped-def]
    nodes = {"0": node(), "1": node(dataset=data_set), "2": node(dataset=data_set)}
    result = converted(nodes=nodes)

    root = f"data/{data_set.replace(' ', '_')}"
    assert (result.value("data.root"), result.value("data.dataset")) == ("data/ESC-50", "esc50")
    assert [found["root"] for found in result.value("nodes")] == [None, root, root]
    assert [found["dataset"] for found in result.value("nodes")] == [None, layout, layout]
    assert [found["classes"] for found in result.value("nodes")] == [["dog"]] * 3
    assert ("is no data set of the earlier system" in result.warnings) == (layout is None)


def test_one_root_serves_when_all_nodes_have_one_data_set(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": node(dataset="VEGAS"), "1": node(dataset="VEGAS")})

    assert (result.value("data.dataset"), result.value("data.root")) == ("vegas", "data/VEGAS")
    assert [found["root"] for found in result.value("nodes")] == [None, None]


def test_a_data_set_that_nobody_knows_is_a_problem_under_strict(refusal) -> None:  # type: ignore[no-untyped-def]
    assert 'nodes.0.dataset = "Speech" — Speech is no data set of the earlier system' in refusal(
        nodes={"0": node(dataset="Speech")}, strict=True
    )


def vegas(**keys: Any) -> dict[str, Any]:
    return node(dataset="VEGAS", selected_classes=["dog", "drum"]) | keys


def test_nodes_get_the_blocks_that_they_name(converted) -> None:  # type: ignore[no-untyped-def]
    nodes = {str(index): vegas(samples_per_node=20, node_split_id=index, node_split_seed=7) for index in range(2)}

    assert [found["block"] for found in converted(nodes=nodes).value("nodes")] == [
        {"size": 20, "id": 0, "start": None, "seed": 7},
        {"size": 20, "id": 1, "start": None, "seed": 7},
    ]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"samples_per_node": 0, "node_split_id": 1}, "blocks need samples_per_node and node_split_id"),
        ({"samples_per_node": 20}, "blocks need samples_per_node and node_split_id"),
        ({"dataset": "ESC50", "selected_classes": ["dog"], "samples_per_node": 20, "node_split_id": 1}, "VEGAS alone"),
    ],
)
def test_a_block_that_the_earlier_system_did_not_cut_is_left_out(  # type: ignore[no-untyped-def]
    keys: dict[str, Any], reason: str, converted
) -> None:
    result = converted(nodes={"0": vegas(**keys)})

    assert result.value("nodes.0.block") is None
    assert all(reason in drop["reason"] for drop in result.report["dropped"] if "node" in drop["key"].split(".")[-1])


def test_a_null_among_ratios_and_blocks_is_their_default(converted) -> None:  # type: ignore[no-untyped-def]
    block = {"samples_per_node": 20, "node_split_id": 1, "node_split_seed": None}
    result = converted(nodes={"0": vegas(train_ratio=None, val_ratio=0.2, **block)})

    assert (result.value("data.train_ratio"), result.value("data.val_ratio")) == (0.8, 0.2)
    assert result.value("nodes.0.block.seed") == 42


def test_a_block_that_is_no_number_is_a_problem(refusal) -> None:  # type: ignore[no-untyped-def]
    assert 'node_split_id = "first" — expected a whole number of at least 0' in refusal(
        nodes={"0": vegas(samples_per_node=20, node_split_id="first")}
    )


@pytest.mark.parametrize(
    ("keys", "clips"),
    [({"num_samples_per_class": 30}, 30), ({"num_samples": 30}, 30), ({"num_samples_per_class": 0}, None)],
)
def test_clips_of_a_class_are_as_many_as_the_file_says(keys: dict[str, Any], clips: int | None, converted) -> None:  # type: ignore[no-untyped-def]
    assert converted(nodes={"0": vegas(**keys)}).value("data.clips_per_class") == clips


def test_nodes_that_differ_have_their_own_ratios_and_clips(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        nodes={"0": vegas(train_ratio=0.7, num_samples=20), "1": vegas(selected_classes=["snoring"], val_ratio=0.2)}
    )

    assert [(found["split"], found["train_ratio"], found["val_ratio"]) for found in result.value("nodes")] == [
        ("ratio", 0.7, 0.1),
        ("ratio", 0.8, 0.2),
    ]
    assert [found["clips_per_class"] for found in result.value("nodes")] == [20, None]


def test_nodes_that_share_a_class_divide_it_alike(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": vegas(train_ratio=0.7), "1": vegas(train_ratio=0.5), "2": vegas(train_ratio=0.5)})

    assert (result.value("data.train_ratio"), result.value("nodes.1.train_ratio")) == (0.7, None)
    assert "have to divide it alike: as the first of them does (and of node 2)" in result.warnings


@pytest.mark.parametrize(
    ("official", "expected"),
    [(True, ("official", 0.8, 0.0, None)), (False, ("ratio", 0.7, 0.1, None)), (None, ("ratio", 0.7, 0.1, None))],
)
def test_vggsound_goes_by_its_split_where_the_file_says_so(official: bool | None, expected: Any, converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        nodes={"0": node(dataset="VGGSound", selected_classes=["dog barking, indoors"], use_official_split=official)}
    )

    keys = ("split", "train_ratio", "val_ratio", "test_ratio")
    assert tuple(result.value(f"data.{key}") for key in keys) == expected
    assert result.value("nodes.0.classes") == ["dog_barking_indoors"]
    assert result.value("embedding.seconds") == 10.0


def test_what_is_measured_are_the_splits_that_the_file_names(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(feda2v={"nodes_test_metrics_splits": ["test"]}, nodes={"0": vegas()})

    assert result.value("data.evaluate_on") == ["test"]
    assert (result.value("data.train_ratio"), result.value("data.val_ratio")) == (0.8, 0.1)


def test_folds_for_validation_are_kept_apart(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": node(train_folds=[0, 1, 2], val_folds=[3], test_folds=[4])})

    assert (result.value("data.train_folds"), result.value("data.val_folds")) == ([1, 2, 3], [4])
    assert result.value("data.evaluate_on") == ["val", "test"]


@pytest.mark.parametrize(
    ("wrong", "near"), [("chain_saw", "chainsaw"), ("Chain Saw", "chainsaw"), ("sea_wave", "sea_waves")]
)
def test_a_wrong_class_is_answered_with_the_near_one_when_no_other_is_left(wrong: str, near: str, refusal) -> None:  # type: ignore[no-untyped-def]
    assert f"expected one at least; did you mean {near}?" in refusal(nodes={"0": node(selected_classes=[wrong])})


@pytest.mark.parametrize("sections", [{}, {"nodes": None}, {"feda2v": [], "training": 3}])
def test_another_algorithm_is_called_that(sections: dict[str, Any], refusal) -> None:  # type: ignore[no-untyped-def]
    message = refusal({"federation": {"algorithm": "FedGFE"}} | sections)

    assert message.splitlines() == [
        "old.json is no configuration of FedA2V",
        "  old.json:1:"
        + message.splitlines()[1].split(":")[2].split(" ")[0]
        + ' federation.algorithm = "FedGFE" — FedGFE is another algorithm',
    ]


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
    feda2v = {"use_generator": True, "generator_granularity": "per_group", "generator_class_groups": groups}

    assert problem in refusal(feda2v=feda2v)


def test_broken_groups_stop_nothing_where_no_generator_is_per_group(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(feda2v={"use_generator": True, "generator_class_groups": {"a": ["dog"], "b": ["Dog"]}})

    assert result.value("generator.groups") == {}
    assert "feda2v.generator_class_groups" in [drop["key"] for drop in result.report["dropped"]]


def test_a_group_without_classes_is_left_out(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(feda2v={"use_generator": True, "generator_class_groups": {"a": [], "b": ["dog", "dog"]}})

    assert result.value("generator.groups") == {"b": ["dog"]}
    assert "generator_class_groups.a = [] — a group without classes, left out" in result.notes


def test_all_problems_are_told_at_once_in_the_order_of_the_file(refusal) -> None:  # type: ignore[no-untyped-def]
    text = """\
{
  "federation": {"global_rounds": 0, "local_epochs": "many", "eval_gap": 2.5},
  "training": [],
  "feda2v": {"generator_granularity": "per-class", "use_generator": true, "train_adapters": true},
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
