"""A run loads every generator that it needs, or none."""

import pytest
import torch
from checkpoint_samples import GRANULARITIES, metadata_of, state_of, write, write_adapters, write_set
from checkpoint_scenarios import flip_bit, middle_of

from feda2v_cli.errors import UsageError
from feda2v_cli.verifier.expectation import Expectation, ExpectedNode
from feda2v_cli.verifier.finding import FindingsError
from feda2v_cli.verifier.loading import load_set


def refusal(*arguments, **options):
    with pytest.raises(FindingsError) as caught:
        load_set(*arguments, **options)
    return [finding.code for finding in caught.value.findings]


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_every_generator_of_a_sound_set_is_loaded(tmp_path, granularity):
    write_set(tmp_path, granularity, rounds=(9, 10, None))
    loaded = load_set(tmp_path)
    assert [metadata.final for metadata, _ in loaded] == [True] * (4 if granularity == "per_class" else 2)
    metadata, state = loaded[0]
    expected = state_of(metadata, 10)
    assert granularity != "unified" or all(torch.equal(state[name], expected[name]) for name in expected)


def test_without_a_final_checkpoint_the_last_round_is_loaded(tmp_path):
    write_set(tmp_path, "unified", rounds=(9, 10))
    assert [metadata.round for metadata, _ in load_set(tmp_path)] == [10, 10]


def test_only_the_nodes_that_are_needed_are_loaded_and_checked(tmp_path):
    first, _ = write_set(tmp_path, "unified")
    first.write_bytes(b"")
    loaded = load_set(tmp_path, Expectation(nodes=(ExpectedNode(1),)))
    assert [metadata.node_id for metadata, _ in loaded] == [1]


def test_one_broken_file_stops_all(tmp_path):
    *_, last = write_set(tmp_path, "per_class")
    flip_bit(last, middle_of(last, "data/3"))
    assert refusal(tmp_path) == ["FA009"]


def test_a_broken_final_file_is_not_replaced_by_an_older_round(tmp_path):
    write_set(tmp_path, "unified", rounds=(10, None))[1].write_bytes(b"")
    assert refusal(tmp_path) == ["FA009"]


def test_a_broken_file_of_a_round_that_is_not_needed_stops_nothing(tmp_path):
    write_set(tmp_path, "unified", rounds=(5, None))[0].write_bytes(b"")
    assert len(load_set(tmp_path)) == 2


def test_a_missing_class_stops_all_unless_the_run_can_live_with_it(tmp_path):
    write_set(tmp_path, "per_class")[0].unlink()
    assert refusal(tmp_path) == ["FA005"]
    warnings = []
    assert len(load_set(tmp_path, permissive=True, on_warning=warnings.append)) == 3
    assert [warning.code for warning in warnings] == ["FA005"]


def test_another_granularity_stops_all(tmp_path):
    write_set(tmp_path, "unified")
    assert refusal(tmp_path, Expectation(granularity="per_class")) == ["FA003"]


def test_another_base_name_stops_all_unless_the_run_can_live_with_it(tmp_path):
    write_set(tmp_path, "unified", base_name="mine")
    asked = Expectation(base_name="vae_unified")
    assert refusal(tmp_path, asked) == ["FA002"]
    assert len(load_set(tmp_path, asked, permissive=True)) == 2


def test_an_absent_directory_stops_all(tmp_path):
    assert refusal(tmp_path / "absent") == ["FA001"]


def test_a_swapped_file_stops_all(tmp_path):
    first, second = write_set(tmp_path, "unified")
    first.unlink()
    second.rename(first)
    assert "FA012" in refusal(tmp_path)


def test_tensors_that_do_not_fit_stop_all(tmp_path):
    write_set(tmp_path, "unified")
    write(tmp_path, metadata_of("unified"), **{"projection.mean": torch.zeros(3)})
    assert refusal(tmp_path) == ["FA008"]


def test_not_a_number_stops_all(tmp_path):
    write_set(tmp_path, "unified")
    write(tmp_path, metadata_of("unified"), **{"projection.mean": torch.full((32,), float("nan"))})
    assert refusal(tmp_path) == ["FA011"]


def test_equal_weights_stop_all(tmp_path):
    for key in ("dog", "cow"):
        write(tmp_path, metadata_of("per_class", 0, key), seed=1)
    assert refusal(tmp_path, Expectation(nodes=(ExpectedNode(0),))) == ["FA013"]


def test_two_sets_that_would_both_do_are_a_question_for_the_user(tmp_path):
    for name in ("one", "two"):
        write_set(tmp_path, "unified", base_name=name)
    with pytest.raises(UsageError, match="holds 2 sets of generators: one, two"):
        load_set(tmp_path)
    assert len(load_set(tmp_path, Expectation(base_name="one"))) == 2


def test_an_adapter_beside_a_set_is_no_part_of_it(tmp_path):
    write_set(tmp_path, "unified")
    write_adapters(tmp_path)
    (tmp_path / "adapter_node3.pt").write_bytes(b"")
    assert len(load_set(tmp_path)) == 2
