from pathlib import Path

import pytest

from feda2v_cli.legacy.config.page import page

GOLDEN = Path(__file__).with_name("golden")
DOCS = Path(__file__).parents[3] / "docs" / "convert-config.md"


def test_a_converted_profile_reads_like_our_own(converted) -> None:  # type: ignore[no-untyped-def]
    assert converted((GOLDEN / "old.json").read_text()).text == (GOLDEN / "new.toml").read_text()


def test_only_what_differs_from_a_default_is_written(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(
        federation={"global_rounds": 10},
        feda2v={"use_generator": True, "generator_only_mode": True, "generator_training_epochs": 20},
    )

    assert [line for line in result.text.splitlines() if " = " in line and not line.startswith("#")] == [
        'name = "old" # names the run directory',
        "id = 0",
        'classes = ["dog", "rain"]',
    ]


def test_a_block_is_a_table_in_a_line(converted) -> None:  # type: ignore[no-untyped-def]
    node = {"dataset": "VEGAS", "selected_classes": ["drum"], "samples_per_node": "20", "node_split_id": 3}

    assert "block = {size = 20, id = 3, seed = 42}\n" in converted(nodes={"0": node}).text


def test_a_comment_of_several_lines_and_odd_characters_stays_a_comment(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted({"_comment": "a\nb\x00c\r\u2028[d]", "_more": {"any": ["thing"]}})

    assert "# a\n# b c\n" in result.text
    assert '# {"any": ["thing"]}\n' in result.text


def test_an_unknown_key_stays_as_a_comment_with_its_whole_value(converted) -> None:  # type: ignore[no-untyped-def]
    result = converted(feda2v={"mystery": ["x" * 100]})

    assert f'# not carried over: feda2v.mystery = ["{"x" * 100}"]\n' in result.text


@pytest.mark.parametrize("kind", ["flux", "sd"])
def test_the_kind_of_targets_stays_as_a_comment(kind: str, converted) -> None:  # type: ignore[no-untyped-def]
    assert f'and shapes = "{kind}"\n' in converted(feda2v={"diffusion_type": kind}).text


def test_the_documentation_page_is_made_from_the_table() -> None:
    assert DOCS.read_text(encoding="utf-8") == page(), (
        "make it again: python -m feda2v_cli.legacy.config.page > docs/convert-config.md"
    )
