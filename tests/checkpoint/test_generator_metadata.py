import dataclasses
import json

import pytest
from checkpoint_samples import GRANULARITIES, keys_of, metadata_of
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.checkpoint.fields import MetadataError
from feda2v_cli.checkpoint.metadata import FORMAT_VERSION, GeneratorMetadata, NewerFormatError

FIELDS = [field.name for field in dataclasses.fields(GeneratorMetadata)]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_it_is_the_same_after_a_journey_through_json(granularity):
    metadata = metadata_of(granularity, 0, keys_of(granularity, 0)[0])
    assert GeneratorMetadata.from_dict(json.loads(json.dumps(metadata.to_dict()))) == metadata


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in GeneratorMetadata.optional])
def test_a_missing_field_is_named(field):
    plain = metadata_of("unified").to_dict()
    del plain[field]
    with pytest.raises(MetadataError, match=f"metadata field {field} is missing"):
        GeneratorMetadata.from_dict(plain)


def test_a_file_of_before_lacks_what_later_versions_added_and_is_read():
    plain = metadata_of("unified").to_dict()
    before = {name: value for name, value in plain.items() if name not in GeneratorMetadata.optional}
    assert len(before) == len(plain) - len(GeneratorMetadata.optional) == len(plain) - 5
    assert GeneratorMetadata.from_dict(before) == metadata_of("unified")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("class_name", "dog"),
        ("group_name", "animals"),
        ("generator_classes", ["dog", "dog"]),
        ("generator_classes", []),
        ("generator_classes", ["dog", "whale"]),
        ("samples_per_class", {"rain": 3}),
        ("expected_keys", ["dog"]),
        ("round", -1),
        ("embedding_shape", [4, 0]),
        ("format_version", 0),
    ],
)
def test_fields_that_contradict_each_other_are_refused_by_name(field, value):
    with pytest.raises(MetadataError, match=f"metadata field {field}"):
        GeneratorMetadata.from_dict(metadata_of("unified").to_dict() | {field: value})


def test_lists_within_lists_without_end_are_refused():
    deep: list = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(MetadataError, match="optimiser is nested more than 32 deep"):
        GeneratorMetadata.from_dict(metadata_of("unified").to_dict() | {"optimiser": {"deep": deep}})


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in ("architecture", "encoder", "optimiser")])
def test_a_field_of_the_wrong_type_is_named(field):
    plain = metadata_of("unified").to_dict() | {field: [1.5, {"a": object}]}
    with pytest.raises(MetadataError, match=f"metadata field {field}"):
        GeneratorMetadata.from_dict(plain)


@given(st.sampled_from(FIELDS), values)
def test_any_value_in_any_field_is_taken_or_refused_by_name(field, value):
    plain = metadata_of("unified").to_dict() | {field: value}
    try:
        taken = GeneratorMetadata.from_dict(plain)
    except MetadataError as error:
        problem = str(error)
    else:
        problem = "" if taken.to_dict() == plain else "taken as something else"
    assert not problem or (problem.startswith("metadata field") and field in problem)


def test_an_unknown_field_is_refused():
    with pytest.raises(MetadataError, match="colour is unknown"):
        GeneratorMetadata.from_dict(metadata_of("unified").to_dict() | {"colour": "red"})


def test_a_later_format_is_told_apart_even_when_its_fields_are_others():
    with pytest.raises(NewerFormatError, match="is 3 — this version reads up to 2"):
        GeneratorMetadata.from_dict({"format_version": FORMAT_VERSION + 1, "novelty": 1})


def test_a_loss_that_is_no_number_is_refused_when_it_is_written():
    with pytest.raises(MetadataError, match=r"final_losses\.loss is nan — expected a finite number"):
        metadata_of("unified", final_losses={"loss": float("nan")}).to_dict()


def test_what_is_no_plain_value_is_refused_when_it_is_written():
    with pytest.raises(MetadataError, match=r"architecture\.sizes is a set"):
        metadata_of("unified", architecture={"sizes": {1}}).to_dict()


def test_true_is_no_integer():
    with pytest.raises(MetadataError, match="node_id is True — expected an integer"):
        GeneratorMetadata.from_dict(metadata_of("unified").to_dict() | {"node_id": True})


def test_the_file_of_the_end_has_no_round_in_its_name():
    assert metadata_of("per_class", 0, "dog").name.filename == "vae_perclass_node0_class_dog.pt"
    unfinished = metadata_of("per_class", 0, "dog", final=False, round=5)
    assert unfinished.name.filename == "vae_perclass_node0_class_dog_round_5.pt"
