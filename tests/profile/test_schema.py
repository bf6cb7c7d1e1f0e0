import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.profile.schema import BASE_NAME_PATTERN, CLASS_NAME_PATTERN, as_base_name, as_class_name


@pytest.mark.parametrize(
    ("text", "name"),
    [("Dog", "dog"), ("sea waves", "sea_waves"), ("Car-Horn", "car_horn"), ("Café", "cafe"), ("猫", None), ("", None)],
)
def test_the_closest_class_name_keeps_what_can_stay(text: str, name: str | None) -> None:
    assert as_class_name(text) == name


@given(st.text())
def test_what_becomes_a_class_name_is_one_and_stays_itself(text: str) -> None:
    name = as_class_name(text)

    assert name is None or (re.search(CLASS_NAME_PATTERN, name) and as_class_name(name) == name and len(name) <= 64)


@given(st.text())
def test_what_becomes_a_base_name_is_one(text: str) -> None:
    name = as_base_name(text)

    assert name is None or (re.search(BASE_NAME_PATTERN, name) and len(name) <= 64)
