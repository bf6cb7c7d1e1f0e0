from typing import Any

import pytest

RUN_1 = ["feda2v train-generators -p new.toml --data-root DIR"]
RUN_2 = ["feda2v federate -p new.toml --data-root DIR"]


@pytest.mark.parametrize(
    ("switches", "commands"),
    [
        ({}, RUN_2),
        ({"use_generator": True}, RUN_1 + RUN_2),
        ({"use_generator": True, "generator_training_mode": True}, RUN_1 + RUN_2),
        ({"use_generator": True, "generator_training_mode": True, "generator_only_mode": True}, RUN_1),
        ({"use_generator": True, "generator_only_mode": True}, RUN_1),
        ({"use_generator": True, "use_pretrained_generators": True}, RUN_2),
        ({"use_generator": True, "generator_load_checkpoint": True}, RUN_2),
        ({"use_generator": "true", "generator_only_mode": "True"}, RUN_1),
        (
            {"use_generator": True, "use_pretrained_generators": True, "generator_training_mode": True},
            RUN_1 + RUN_2,
        ),
    ],
)
def test_the_switches_say_which_command_runs_the_profile(  # type: ignore[no-untyped-def]
    switches: dict[str, Any], commands: list[str], converted
) -> None:
    result = converted(feda2v=switches)

    assert result.report["commands"] == commands
    assert all(f"#   {command}" in result.text.splitlines() for command in commands)


def test_a_profile_that_knows_its_data_is_run_without_data_root(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(nodes={"0": {"dataset": "VEGAS", "selected_classes": ["drum"]}})

    assert result.report["commands"] == ["feda2v federate -p new.toml"]


def test_without_generators_there_are_no_synthetic_samples(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(feda2v={"use_generator": False, "synthetic_samples_per_class": 5})

    assert result.value("synthetic.per_class") == 0
    assert "without generators (use_generator)" in result.report["dropped"][0]["reason"]


@pytest.mark.parametrize(
    ("switches", "warning"),
    [
        ({"generator_only_mode": True}, "without use_generator the earlier system built no generators"),
        (
            {"use_generator": True, "use_pretrained_generators": True},
            "without generator_load_checkpoint the earlier system loaded nothing",
        ),
        (
            {"use_generator": True, "use_pretrained_generators": True, "generator_training_mode": True},
            "the earlier system went on training what it loaded",
        ),
        ({"use_generator": True}, "without a mode the earlier system used untrained generators"),
        (
            {"use_generator": True, "generator_training_mode": True, "adapter_aggregation_mode": "avg"},
            "the earlier system exchanged no adapters while it trained generators",
        ),
        (
            {"use_generator": True, "use_pretrained_generators": True},
            "no synthetic sample reached the nodes' own training in the earlier system",
        ),
    ],
)
def test_what_the_switches_did_otherwise_is_a_warning(  # type: ignore[no-untyped-def]
    switches: dict[str, Any], warning: str, converted
) -> None:
    assert warning in converted(feda2v=switches).warnings


@pytest.mark.parametrize("others", [{}, {"global_model_train": True, "global_model_train_from_generator": True}])
def test_nothing_is_claimed_of_samples_that_there_are_not(others: dict[str, Any], converted) -> None:  # type: ignore[no-untyped-def]
    switches = {"use_generator": True, "use_pretrained_generators": True, "generator_load_checkpoint": True}

    assert converted(feda2v=switches | others | {"synthetic_samples_per_class": 0}).warnings == ""


def test_distillation_without_a_sample_is_a_problem(refusal) -> None:  # type: ignore[no-untyped-def]
    switches = {"use_generator": True, "use_pretrained_generators": True, "adapter_aggregation_mode": "kd"}

    assert "synthetic_samples_per_class = 0 — kd distils on synthetic samples, and these are none" in refusal(
        feda2v=switches | {"synthetic_samples_per_class": 0}
    )


@pytest.mark.parametrize(
    ("feda2v", "problem"),
    [
        (
            '"use_generator": false, "generator_only_mode": true',
            "old.json:1:13 feda2v.use_generator = false — generator_only_mode is true and has no meaning without "
            'generators: write "use_generator": true, or "generator_only_mode": false',
        ),
        (
            '"use_generator": false, "generator_training_mode": true',
            "old.json:1:13 feda2v.use_generator = false — generator_training_mode is true and has no meaning without "
            'generators: write "use_generator": true, or "generator_training_mode": false',
        ),
        (
            '"use_generator": false, "use_pretrained_generators": true',
            "old.json:1:13 feda2v.use_generator = false — use_pretrained_generators is true and has no meaning without "
            'generators: write "use_generator": true, or "use_pretrained_generators": false',
        ),
        (
            '"generator_training_mode": false, "generator_only_mode": true',
            "old.json:1:13 feda2v.generator_training_mode = false — generator_only_mode is true and trains generators "
            'and nothing else: write "generator_training_mode": true, or "generator_only_mode": false',
        ),
        (
            '"adapter_aggregation_mode": "kd"',
            'old.json:1:13 feda2v.adapter_aggregation_mode = "kd" — kd distils on synthetic samples and has none '
            'without generators: write "use_generator": true and "use_pretrained_generators": true, '
            "or another mode (avg, none)",
        ),
        (
            '"adapter_aggregation_mode": "kd", "use_generator": false',
            'old.json:1:13 feda2v.adapter_aggregation_mode = "kd" — kd distils on synthetic samples and has none '
            'without generators: write "use_generator": true and "use_pretrained_generators": true, '
            "or another mode (avg, none)",
        ),
        (
            '"generator_granularity": "per_group", "generator_only_mode": true',
            'old.json:1:13 feda2v.generator_granularity = "per_group" — per_group needs groups: write '
            '"generator_class_groups": {"animals": ["dog", "cow"]}',
        ),
        ('"use_generator": 1', "old.json:1:13 feda2v.use_generator = 1 — expected true or false"),
    ],
)
def test_a_contradiction_is_answered_with_its_place_and_what_to_write(  # type: ignore[no-untyped-def]
    feda2v: str, problem: str, refusal
) -> None:
    text = f'{{"feda2v": {{{feda2v}}}, "nodes": {{"0": {{"dataset": "ESC50", "selected_classes": ["dog"]}}}}}}'

    assert refusal(text).splitlines() == ["old.json has 1 problem", f"  {problem}"]
