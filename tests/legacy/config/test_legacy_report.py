import json
from typing import Any

import pytest


def test_every_key_of_the_file_is_told_once(converted) -> None:  # type: ignore[no-untyped-def]
    report = converted(
        experiment={"seed": 3, "debug": True},
        feda2v={"use_generator": False, "fame": 1},
        nodes={"4": {"dataset": "ESC50", "selected_classes": ["Dog"]}},
    ).report

    assert report["renamed"] == [
        {
            "key": "nodes.4.dataset",
            "value": "ESC50",
            "line": 1,
            "becomes": [],
            "note": "ESC50 alone is what --data-root gives; VEGAS and VGGSound have their layout, and data/VEGAS and "
            "data/VGGSound as roots: in data where all nodes have one data set",
        },
        {
            "key": "nodes.4.selected_classes",
            "value": ["Dog"],
            "line": 1,
            "becomes": [{"key": "nodes.0.classes", "value": ["dog"], "written": True}],
            "note": "names in lower case with underscores, numbers by the label table; none means all classes of the "
            "data set",
        },
        {
            "key": "experiment.seed",
            "value": 3,
            "line": 1,
            "becomes": [{"key": "experiment.seed", "value": 3, "written": True}],
            "note": "-1, no seed, and none, is left out: then it is 0",
        },
        {
            "key": "feda2v.use_generator",
            "value": False,
            "line": 1,
            "becomes": [{"key": "synthetic.per_class", "value": 0, "written": True}],
            "note": "whether there are generators at all",
        },
    ]
    assert [(drop["key"], drop["value"]) for drop in report["dropped"]] == [("experiment.debug", True)]
    assert [(unknown["key"], unknown["value"]) for unknown in report["unknown"]] == [("feda2v.fame", 1)]


def test_a_value_that_is_a_default_is_told_as_not_written(converted) -> None:  # type: ignore[no-untyped-def]
    report = converted(feda2v={"use_generator": True, "generator_checkpoint_dir": "checkpoints/generators/"}).report

    assert report["renamed"][-1]["becomes"] == [
        {"key": "checkpoint.dir", "value": "checkpoints/generators", "written": False}
    ]


@pytest.mark.parametrize(
    ("section", "key", "meant"),
    [
        ("feda2v", "generator_epochs", "feda2v.generator_training_epochs"),
        ("feda2v", "generate_low_memory_footprint", "feda2v.generate_low_memomy_footprint"),
        ("federation", "zzz", None),
        ("training", "generator_granularity", "feda2v.generator_granularity"),
        ("nodes", "selected_clases", "nodes.0.selected_classes"),
    ],
)
def test_an_unknown_key_is_told_with_the_key_it_may_be_meant_for(  # type: ignore[no-untyped-def]
    section: str, key: str, meant: str | None, converted
) -> None:
    node: dict[str, Any] = {"dataset": "ESC50", "selected_classes": ["dog"]}
    config: dict[str, Any] = {"nodes": {"0": node}}
    (node if section == "nodes" else config.setdefault(section, {}))[key] = 1

    result = converted(config)

    assert [unknown["meant"] for unknown in result.report["unknown"]] == [meant]
    assert ("did you mean" in result.warnings) == (meant is not None)


def test_an_unknown_section_is_told(converted) -> None:  # type: ignore[no-untyped-def]
    assert [unknown["key"] for unknown in converted(generator_granularity="per_class").report["unknown"]] == [
        "generator_granularity"
    ]


@pytest.mark.parametrize(
    "sections",
    [
        {"federatoin": {}},
        {"feda2v": {"generator_epochs": 3}},
        {"feda2v": {"use_generator": True, "generator_only_mode": True, "generator_type": "gan"}},
        {"nodes": {"0": {"dataset": "ESC50", "selected_classes": ["dog", "dgo"]}}},
        {"nodes": {"0": {"dataset": "ESC50", "selected_classes": ["dog"], "classes": []}}},
    ],
)
def test_what_is_doubtful_is_a_problem_under_strict(sections: dict[str, Any], converted, refusal) -> None:  # type: ignore[no-untyped-def]
    assert converted(**sections).warnings

    assert refusal(**sections, strict=True).startswith("old.json has 1 problem")


def test_what_the_file_leaves_open_is_what_it_was(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        feda2v={
            "use_generator": True,
            "use_pretrained_generators": True,
            "generator_load_checkpoint": True,
            "train_adapters": True,
        }
    )

    assert [(default["key"], default["becomes"], default["now"]) for default in result.report["defaults"]] == [
        ("feda2v.generator_training_sequence_length", "embedding.tokens", "all"),
        ("feda2v.audio_model_name", "embedding.encoder", "MIT/ast-finetuned-audioset-10-10-0.4593"),
        ("federation.global_rounds", "federation.rounds", 100),
        ("federation.local_epochs", "federation.local_epochs", 1),
        ("federation.eval_gap", "federation.evaluate_every", 1),
        ("feda2v.adapter_aggregation_mode", "federation.strategy", "none"),
        ("feda2v.clip_adapter_learning_rate", "adapter.clip_learning_rate", 0.0001),
        ("feda2v.t5_adapter_weight_decay", "adapter.t5_weight_decay", 0.001),
        ("feda2v.clip_adapter_learning_rate_schedule", "adapter.schedule", "constant"),
        ("training.batch_size", "adapter.batch_size", 10),
        ("feda2v.synthetic_samples_per_class", "synthetic.per_class", "auto"),
    ]
    assert all(default["earlier"] == default["now"] for default in result.report["defaults"])
    assert all(default["now"] == result.value(default["becomes"]) for default in result.report["defaults"])


def test_an_encoder_that_the_file_does_not_ask_for_is_told(converted) -> None:  # type: ignore[no-untyped-def]
    report = converted(
        federation={"global_rounds": 3}, feda2v={"use_generator": True, "generator_only_mode": True}
    ).report

    assert report["defaults"] == [
        {
            "key": "feda2v.audio_model_name",
            "earlier": "MIT/ast-finetuned-audioset-10-10-0.4593",
            "becomes": "embedding.encoder",
            "now": "melstats",
        }
    ]


def test_the_same_of_several_nodes_is_told_once(converted) -> None:  # type: ignore[no-untyped-def]
    nodes = {str(index): {"dataset": "ESC50", "selected_classes": ["dog", "dgo"]} for index in range(4)}

    told = [line for line in converted(nodes=nodes).report["warnings"] if "no class of this data set" in line]

    assert len(told) == 1
    assert told[0].endswith("did you mean dog? (and of nodes 1, 2, 3)")


def test_a_null_is_accounted_for(converted) -> None:  # type: ignore[no-untyped-def]
    report = converted(
        feda2v={"generator_output_sequence_length": None},
        nodes={"0": {"dataset": "ESC50", "selected_classes": ["dog"], "node_split_id": None}},
    ).report

    assert {drop["key"]: drop["reason"] for drop in report["dropped"]} == dict.fromkeys(
        ["feda2v.generator_output_sequence_length", "nodes.0.node_split_id"], "null is a key that is not written"
    )


def test_the_data_that_no_old_file_names_is_asked_for(converted) -> None:  # type: ignore[no-untyped-def]
    needs = converted(feda2v={"use_generator": True, "generator_only_mode": True}).report["needs"]

    assert len(needs) == 1
    assert "--data-root DIR" in needs[0]
    assert "takes the built-in sounds" in needs[0]


def test_a_key_that_is_written_twice_is_told(converted) -> None:  # type: ignore[no-untyped-def]
    text = '{"experiment": {"seed": 1,\n"seed": 2}, "nodes": {"0": {"dataset": "ESC50", "selected_classes": ["dog"]}}}'
    result = converted(text)

    assert result.value("experiment.seed") == 2
    assert "old.json:2:1 experiment.seed = 2 — written more than once, the last one counts, as before" in result.notes


def test_a_report_is_plain_json(converted) -> None:  # type: ignore[no-untyped-def]
    report = converted(feda2v={"generator_class_groups": {"a": ["dog"]}}).report

    assert json.loads(json.dumps(report)) == report
