import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.errors import MissingError, ProfileError
from feda2v_cli.legacy.config.read import read_file, read_text, strict_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)


def sound(value: Any) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in json.dumps(value, ensure_ascii=False))


@given(OBJECTS.filter(sound), st.sampled_from([None, 2]))
def test_what_is_strict_json_is_read_as_the_json_module_reads_it(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)

    assert read_text(text, "old.json").values == json.loads(text)


@given(OBJECTS.filter(sound))
def test_trailing_commas_and_comments_change_nothing(value: dict[str, Any]) -> None:
    lines = json.dumps(value, indent=2).splitlines()
    opens = ("{", "[", ",")
    loose = "\n".join(
        line + ("," if not line.endswith(opens) and after.strip().startswith(("}", "]")) else "") + ' // {[ "a", # */'
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
    )

    assert read_text(loose, "old.json").values == value


@given(st.text(alphabet='{}[],:"/*#\\\n a1'))
def test_a_strict_text_is_as_long_as_what_was_read(text: str) -> None:
    strict = strict_text(text)

    assert strict.unclosed is not None or len(strict.text) == len(text)


def test_a_comment_within_a_text_is_text() -> None:
    assert read_text('{"a": "http://x # /* y */,]"}', "old.json").values == {"a": "http://x # /* y */,]"}


def test_keys_and_elements_have_their_places() -> None:
    places = read_text('{\n  // one\n  "a": [1,\n    2], "b": {"c": null}\n}', "old.json").places

    assert places == {
        ("a",): (3, 3),
        ("a", 0): (3, 9),
        ("a", 1): (4, 5),
        ("b",): (4, 9),
        ("b", "c"): (4, 15),
    }


def test_a_key_that_is_written_twice_has_its_last_value_and_is_told() -> None:
    file = read_text('{"a": {"x": 1},\n "a": {"y": 2}}', "old.json")

    assert file.values == {"a": {"y": 2}}
    assert file.repeated == ((("a",), (2, 2)),)
    assert ("a", "x") not in file.places


def test_a_comment_belongs_to_the_key_on_its_line_else_to_the_next() -> None:
    file = read_text('{ /* top */\n  "a": 1, // of a\n  # of b\n  "b": 2\n  // end\n}', "old.json")

    assert file.comments == ((("a",), "top"), (("a",), "of a"), (("b",), "of b"), (("b",), "end"))


def test_half_a_character_is_replaced() -> None:
    assert read_text('{"a": "x\\ud800"}', "old.json").values == {"a": "x\ufffd"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_byte_order_mark_and_utf_16_are_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_bytes('{"a": "é"}'.encode(encoding))

    assert read_file(path).values == {"a": "é"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "old.json:1:1 is not valid JSON — the file is empty"),
        (" // nothing\n", "old.json:2:1 is not valid JSON — the file is empty"),
        ("[1]", "old.json:1:1 is not a configuration — expected an object of sections: { … }"),
        ("\n  3", "old.json:2:3 is not a configuration — expected an object of sections: { … }"),
        (
            '{"a": {"b": 1,\n',
            "old.json:2:1 is not valid JSON — the file ends in the middle, a bracket or a value is missing",
        ),
        ('{"a":', "old.json:1:6 is not valid JSON — the file ends in the middle, a bracket or a value is missing"),
        ('{"a": True}', "old.json:1:7 is not valid JSON — True is no JSON, write true"),
        ('{"a": None}', "old.json:1:7 is not valid JSON — None is no JSON, write null"),
        ("{\n 'a': 1}", "old.json:2:2 is not valid JSON — ' is no JSON, write double quotes: \""),
        ("{a: 1}", "old.json:1:2 is not valid JSON — expected a key in double quotes"),
        ('{"a": 1 "b": 2}', "old.json:1:9 is not valid JSON — expecting ',' delimiter"),
        (
            '{"a": "x}\n',
            "old.json:1:7 is not valid JSON — the text that begins here never ends, a closing double quote is missing",
        ),
        ("{} {}", "old.json:1:4 is not valid JSON — expected the end of the file, one object is all that it may hold"),
        (
            '{"a": 1 /* b\n}',
            "old.json:1:9 is not valid JSON — a comment begins here and never ends, write */ at its end",
        ),
        ('{"a": [,]}', "old.json:1:8 is not valid JSON — expecting value"),
        ('{"a": [1, -Infinity]}', "old.json:1:11 is not valid JSON — expected a finite number"),
        ('{"a": 1e999}', "old.json:1:7 is not valid JSON — expected a finite number"),
        ('{"a": ' + "[" * 100_000, "old.json is nested too deeply — expected sections of keys"),
        ('{"a": ' + "1" * 5000 + "}", "old.json holds a number that is too long — expected at most 4300 digits"),
    ],
    ids=range(19),
)
def test_a_broken_file_is_answered_with_its_place_and_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_text(text, "old.json")

    assert str(caught.value) == message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_bytes(b'{"a": "\xff"}')

    with pytest.raises(ProfileError, match="is not UTF-8 text — byte 7 cannot be read"):
        read_file(path)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not there"):
        read_file(tmp_path / "old.json")
