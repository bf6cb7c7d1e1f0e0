import pytest

from feda2v_cli.counted import counted


@pytest.mark.parametrize(
    ("count", "words", "expected"),
    [
        (1, "adapter", "1 adapter"),
        (0, "adapter", "0 adapters"),
        (2, "class", "2 classes"),
        (3, "wrong value", "3 wrong values"),
    ],
)
def test_one_of_something_is_in_the_singular_and_any_other_count_in_the_plural(
    count: int, words: str, expected: str
) -> None:
    assert counted(count, words) == expected
