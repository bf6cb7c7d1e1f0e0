"""docs/data.md: its profiles load, its replacements make manifests, and its table has every layout."""

import re
from pathlib import Path
from typing import get_args

import pytest
from data_layouts import write_sound

from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.profile.load import load_profile
from feda2v_cli.profile.schema import DatasetName

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
URBAN = """slice_file_name,fsID,start,end,salience,fold,classID,class
100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark
100263-2-0-117.wav,100263,58.5,62.5,1,5,2,children_playing
"""
FSD50K = """fname,labels,mids,split
64760,"Electric_guitar,Guitar,Music","/m/02sgy,/m/0342h,/m/04rlf",train
16399,Bark,/m/05tny_,val
"""


@pytest.mark.parametrize("text", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_its_profiles_are_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)

    assert len(load_profile(str(tmp_path / "mine.toml"), environment={}).profile.nodes) == 3


def test_its_table_has_every_layout() -> None:
    assert re.findall(r"^\| `(\w+)` \| .* \| .* \|$", PAGE.partition("## With")[0], re.MULTILINE) == [
        "esc50", "esc50_folds", "vegas", "vggsound", "csv", "folder", "builtin",
    ]  # fmt: skip
    assert len(get_args(DatasetName)) == 7


@pytest.mark.parametrize(
    ("name", "table", "expected"),
    [
        (
            "UrbanSound8K",
            URBAN,
            [("audio/fold5/100263-2-0-117.wav", "children_playing", 5, None, "100263"),
             ("audio/fold5/100032-3-0-0.wav", "dog_bark", 5, None, "100032")],
        ),
        (
            "FSD50K",
            FSD50K,
            [("FSD50K.dev_audio/16399.wav", "bark", 0, "val", None),
             ("FSD50K.dev_audio/64760.wav", "electric_guitar", 0, "train", None)],
        ),
        ("one name", "name\tlabel\na.wav\tSea waves, far\n", [("audio/a.wav", "sea_waves_far", 0, None, None)]),
    ],
)  # fmt: skip
def test_its_replacements_make_manifests(
    name: str, table: str, expected: list[tuple[object, ...]], tmp_path: Path
) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| {name}"))
    header, search, replacement = re.findall(r"`([^`]+)`", row.replace("\\|", "|"))[-3:]
    rows = table.splitlines()[1:]
    changed = [re.sub(search, re.sub(r"\$(\d)", r"\\\1", replacement), line) for line in rows]
    (tmp_path / "clips.csv").write_text("\n".join([header, *changed]))
    for place, *_ in expected:
        write_sound(tmp_path / str(place), "dog", 0)

    found = [
        (clip.name, clip.class_name, clip.fold, clip.part, clip.source) for clip in open_dataset("auto", tmp_path).clips
    ]
    assert found == expected
