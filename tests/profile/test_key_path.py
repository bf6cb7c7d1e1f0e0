import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from feda2v_cli.profile.key_path import position, positions

TEXT = '''\
# a comment with [brackets]
top = """
[not.a.table]
""" # [nor] = this
[a] # the table
b = [1, "x, y", # commas
  [2, 3],
  { c = 4, "d.e" = [5] },
]
"q.r".s = 1
[[nodes]]

id = 0
[nodes.inner]
x = '#'
[[nodes]]
id = 1
'''


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("top",), (2, 1)),
        (("a",), (5, 1)),
        (("a", "b"), (6, 1)),
        (("a", "b", 0), (6, 6)),
        (("a", "b", 1), (6, 9)),
        (("a", "b", 2), (7, 3)),
        (("a", "b", 2, 1), (7, 7)),
        (("a", "b", 3, "c"), (8, 5)),
        (("a", "b", 3, "d.e", 0), (8, 21)),
        (("a", "q.r", "s"), (10, 1)),
        (("nodes",), (11, 1)),
        (("nodes", 0), (11, 1)),
        (("nodes", 0, "id"), (13, 1)),
        (("nodes", 0, "inner", "x"), (15, 1)),
        (("nodes", 1), (16, 1)),
        (("nodes", 1, "id"), (17, 1)),
        (("nodes", 1, "absent"), (16, 1)),
        (("absent",), (1, 1)),
    ],
)
def test_every_key_table_and_element_has_its_place(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert position(positions(TEXT), path) == place


VALUES = st.recursive(
    st.integers() | st.booleans() | st.sampled_from(["''", '"a\\"b#["', "'''x\n]'''", '""""""', "1979-05-27", "1.5"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


def written(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.lists(VALUES, max_size=5))
def test_keys_stand_where_they_were_written_whatever_their_values(values: list[object]) -> None:
    text, lines = "", {}
    for number, value in enumerate(values):
        lines["k", number] = text.count("\n") + 1
        text += f"k{number} = {written(value)} # end\n"
    tomli.loads(text)

    found = positions(text)

    assert {path: found[f"{path[0]}{path[1]}",] for path in lines} == {path: (line, 1) for path, line in lines.items()}
