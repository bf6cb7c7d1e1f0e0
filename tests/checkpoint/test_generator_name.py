import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feda2v_cli.checkpoint.name import GeneratorName, parse_name
from feda2v_cli.errors import UsageError

letters = st.text("abcxyz019", min_size=1, max_size=8)
words = st.lists(letters, min_size=1, max_size=4).map("_".join)
tricky = st.lists(
    st.sampled_from(["node", "node1", "class", "group", "round", "5", "dog", "sea", "pt"]), min_size=1, max_size=6
).map("_".join)
names = st.one_of(words, tricky)
numbers = st.integers(min_value=0, max_value=10**12)


@given(names, numbers, st.sampled_from(["unified", "per_class", "per_group"]), names, st.none() | numbers)
@example("vae_perclass", 0, "per_class", "round_5", None)
@example("vae_group", 1, "per_group", "sea_life", 10)
@example("a_node1_class_x", 2, "unified", "", None)
def test_a_name_is_read_as_it_was_built_or_refused(base_name, node, kind, key, end):
    key = None if kind == "unified" else key
    try:
        name = GeneratorName(base_name, node, kind, key, end)
    except UsageError:
        return
    assert parse_name(name.filename) == name


@given(words, numbers, words, st.none() | numbers)
def test_ordinary_names_are_never_refused(base_name, node, key, end):
    key = f"{key}_sounds"
    base_name = f"{base_name}_vae"
    for kind in ("per_class", "per_group"):
        assert parse_name(GeneratorName(base_name, node, kind, key, end).filename).key == key


@given(st.text(max_size=300))
@example("vae_node0.pt\n")
@example("vae_node٣.pt")
@example("_node0.pt")
@example("vae_node" + "9" * 30 + ".pt")
def test_whatever_is_read_is_the_name_that_would_be_built(text):
    name = parse_name(text)
    assert name is None or name.filename == text


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("vae_unified_node0.pt", ("vae_unified", 0, "unified", None, None)),
        ("vae_unified_node0_round_10.pt", ("vae_unified", 0, "unified", None, 10)),
        ("vae_perclass_node1_class_sea_waves.pt", ("vae_perclass", 1, "per_class", "sea_waves", None)),
        ("vae_group_node2_group_round_trip_round_5.pt", ("vae_group", 2, "per_group", "round_trip", 5)),
        ("x_node0_class_class.pt", ("x", 0, "per_class", "class", None)),
        ("vae_node1_node2.pt", ("vae_node1", 2, "unified", None, None)),
    ],
)
def test_the_names_of_the_seed_are_read(filename, expected):
    assert parse_name(filename) == GeneratorName(*expected)


@pytest.mark.parametrize(
    "filename", ["vae_unified.pt", "node0.pt", "vae_node00.pt", "vae_node0_class_.pt", "vae_node0.pth", ".vae_node0.pt"]
)
def test_other_names_are_not_read(filename):
    assert parse_name(filename) is None


@pytest.mark.parametrize("key", ["dog_round_5", "", "a/b", "dog\0"])
def test_a_key_that_would_be_read_as_something_else_is_refused(key):
    with pytest.raises(UsageError, match="no checkpoint can be named"):
        GeneratorName("vae", 0, "per_class", key)


def test_a_name_too_long_for_a_temporary_file_beside_it_is_refused():
    with pytest.raises(UsageError, match="at most 240 bytes"):
        GeneratorName("vae", 0, "per_class", "ä" * 120)


def test_a_name_that_is_no_text_is_not_an_error():
    name = parse_name(os.fsdecode(b"vae_\xff_node0.pt"))
    assert name is not None
    assert os.fsencode(name.base_name) == b"vae_\xff"
