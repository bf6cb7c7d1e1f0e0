"""Every layout of data: clips, classes, folds, parts and sources, and what is told when something is amiss."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from data_layouts import (
    write_csv,
    write_esc50,
    write_esc50_folds,
    write_folder,
    write_vegas,
    write_vggsound,
    youtube_id,
)

from feda2v_cli.data.dataset import Dataset, open_dataset
from feda2v_cli.errors import FailedError, Feda2vError, MissingError

Write = Callable[..., Path]
WRITERS: dict[str, Write] = {
    "esc50": write_esc50,
    "esc50_folds": write_esc50_folds,
    "vegas": write_vegas,
    "vggsound": write_vggsound,
    "folder": write_folder,
    "csv": write_csv,
}


def fold_counts(dataset: Dataset) -> dict[tuple[str, int], int]:
    return Counter((clip.class_name, clip.fold) for clip in dataset.clips)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_layout_is_recognised_and_lists_all_clips_by_class(layout: str, tmp_path: Path) -> None:
    dataset = open_dataset("auto", WRITERS[layout](tmp_path / "data", ("dog", "sea_waves"), 10))

    assert dataset.name == layout
    assert Counter(clip.class_name for clip in dataset.clips) == {"dog": 10, "sea_waves": 10}
    assert len({clip.name for clip in dataset.clips}) == 20
    assert dataset.clips == open_dataset(layout, tmp_path / "data").clips


@pytest.mark.parametrize("layout", WRITERS)
def test_a_listed_clip_is_the_sound_of_its_file_and_listing_reads_none(layout: str, tmp_path: Path) -> None:
    root = WRITERS[layout](tmp_path / "data", per_class=5)
    waveform = open_dataset(layout, root).clips[0].read()
    assert (waveform.sample_rate, waveform.seconds) == (16_000, 0.5)
    for path in root.rglob("*.wav"):
        path.write_bytes(b"")

    assert len(open_dataset("auto", root).clips) == 10


def test_the_earlier_folds_are_counted_from_1(tmp_path: Path) -> None:
    root = write_esc50_folds(tmp_path / "data", ("dog",))

    assert fold_counts(open_dataset("auto", root)) == {("dog", fold): 2 for fold in range(1, 6)}
    assert next(clip for clip in open_dataset("auto", root).clips if clip.fold == 1).path.parent.name == "fold00"  # type: ignore[attr-defined]


def test_folds_without_a_fold_0_are_taken_as_they_are(tmp_path: Path) -> None:
    root = write_esc50_folds(tmp_path / "data", ("dog",))
    for number in reversed(range(5)):
        (root / "audio" / f"fold{number:02}").rename(root / "audio" / f"fold{number + 1:02}")
        (root / f"fold{number:02}.json").rename(root / f"fold{number + 1:02}.json")

    assert open_dataset("auto", root).folds == (1, 2, 3, 4, 5)


def test_the_earlier_folds_and_the_official_ones_are_the_same(tmp_path: Path) -> None:
    official = open_dataset("auto", write_esc50(tmp_path / "official"))
    earlier = open_dataset("auto", write_esc50_folds(tmp_path / "earlier"))

    def said(dataset: Dataset) -> list[tuple[str, str, int, str | None]]:
        return [(clip.name, clip.class_name, clip.fold, clip.source) for clip in dataset.clips]

    assert said(official) == said(earlier)
    assert len({clip.source for clip in official.clips}) == 10


def test_a_file_that_no_fold_names_is_left_out_and_told(tmp_path: Path) -> None:
    root = write_esc50_folds(tmp_path / "data", ("dog",))
    labels = json.loads((root / "fold00.json").read_text())
    (root / "fold00.json").write_text(json.dumps(dict(list(labels.items())[1:])))

    dataset = open_dataset("auto", root)

    assert len(dataset.clips) == 9
    assert dataset.notes == (f"left out 1 files of {root}/audio/fold00 that fold00.json does not name",)


def test_a_fold_that_names_two_classes_of_a_clip_is_refused(tmp_path: Path) -> None:
    root = write_esc50_folds(tmp_path / "data", ("dog",))
    (root / "fold01.json").write_text('{"2-1-A-0.wav": ["dog", "cat"]}')

    with pytest.raises(FailedError, match=r"fold01\.json has 1 wrong value") as caught:
        open_dataset("auto", root)
    assert 'is of ["dog", "cat"] — expected one class' in str(caught.value)


def test_vegas_is_known_by_the_videos_and_has_no_split_of_its_own(tmp_path: Path) -> None:
    dataset = open_dataset("auto", write_vegas(tmp_path / "data", ("dog", "water_flowing")))

    assert dataset.usual_split == "ratio"
    assert dataset.clips[0].name == "dog/video_00000.wav"
    assert [clip.source for clip in dataset.clips[:3]] == [
        youtube_id("dog", 0),
        youtube_id("dog", 0),
        youtube_id("dog", 1),
    ]


@pytest.mark.parametrize(
    "table",
    [
        "a7-x_Q1cc0A,30\nb7-x_Q1cc0A,40\n",
        "video,url,start\n0,https://www.youtube.com/watch?v=a7-x_Q1cc0A,30\n1,https://youtu.be/b7-x_Q1cc0A,40\n",
        "start,name,id\n30,video_00001,b7-x_Q1cc0A\n40,video_00000.mp4,a7-x_Q1cc0A\n",
    ],
    ids=["no header", "addresses", "named videos"],
)
def test_rows_of_vegas_are_numbered_unless_they_name_their_video(table: str, tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog",), 2)
    (root / "dog" / "video_info.csv").write_text(table)

    clips = open_dataset("vegas", root).clips
    assert {clip.name: clip.source for clip in clips} == {
        "dog/video_00000.wav": "a7-x_Q1cc0A",
        "dog/video_00001.wav": "b7-x_Q1cc0A",
    }


def test_vegas_without_ids_has_no_sources(tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog",), 2)
    (root / "dog" / "video_info.csv").write_text("frames\n300\n250\n")

    assert [clip.source for clip in open_dataset("auto", root).clips] == [None, None]


@pytest.mark.parametrize("layout", ["esc50", "esc50_folds", "vegas", "csv"])
def test_files_that_are_named_and_not_there_are_an_error_or_left_out_and_told(layout: str, tmp_path: Path) -> None:
    root = WRITERS[layout](tmp_path / "data", ("dog",))
    gone = sorted(root.rglob("*.wav"))[3]
    gone.unlink()

    with pytest.raises(MissingError, match="lacks 1 of the") as caught:
        open_dataset(layout, root)
    assert gone.stem in str(caught.value)
    assert "--skip-unreadable" in str(caught.value.hint)
    dataset = open_dataset(layout, root, skip_absent=True)
    assert len(dataset.clips) == 9
    assert "left out 1 of the" in dataset.notes[0]


def test_vggsound_has_labels_with_spaces_and_commas_and_an_official_split(tmp_path: Path) -> None:
    root = write_vggsound(tmp_path / "data", ("people_marching", "dog"))
    table = (root / "vggsound.csv").read_text().replace(",people marching,", ',"people marching, in step",')
    (root / "vggsound.csv").write_text(table.replace(",0,", ',"0",'))

    dataset = open_dataset("auto", root)

    assert dataset.classes == ("dog", "people_marching_in_step")
    assert dataset.usual_split == "official"
    assert Counter(clip.part for clip in dataset.clips) == {"train": 16, "test": 4}
    assert dataset.clips[0].source in dataset.clips[0].name


@pytest.mark.parametrize("audio", ["audio", "audios", "train/audios"])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_vggsound_has_audio_of_several_kinds_and_clips_that_nobody_has_any_more(
    audio: str, ending: str, tmp_path: Path
) -> None:
    dataset = open_dataset("auto", write_vggsound(tmp_path / "data", ("dog",), 5, ending=ending, audio=audio, gone=2))

    assert len(dataset.clips) == 5
    assert dataset.notes == (f"left out 2 of the 7 clips of {tmp_path}/data/vggsound.csv: their audio is not there",)
    assert dataset.clips[0].read().seconds == pytest.approx(0.5, abs=0.1)


def test_vggsound_without_any_of_its_audio_says_which_names_were_expected(tmp_path: Path) -> None:
    root = write_vggsound(tmp_path / "data", ("dog",))
    for number, path in enumerate(sorted((root / "audio").iterdir())):
        path.rename(path.with_name(f"{number}.wav"))

    with pytest.raises(MissingError, match="holds no clip of") as caught:
        open_dataset("auto", root)
    assert f"{youtube_id('dog', 0)}_000000.wav" in str(caught.value)


def test_wrong_values_of_vggsound_are_told_with_their_lines(tmp_path: Path) -> None:
    root = write_vggsound(tmp_path / "data", ("dog",), 5)
    lines = (root / "vggsound.csv").read_text().splitlines()
    lines[1] = "abc,x,dog,train"
    lines[2] = "abd,1,dog,validate"
    (root / "vggsound.csv").write_text("\n".join(lines))

    with pytest.raises(FailedError, match="2 wrong values") as caught:
        open_dataset("auto", root)
    assert "vggsound.csv:2 the start is 'x'" in str(caught.value)
    assert "vggsound.csv:3 the split is 'validate' — expected train or test" in str(caught.value)


def test_a_folder_may_have_train_val_and_test_above_the_classes(tmp_path: Path) -> None:
    dataset = open_dataset("auto", write_folder(tmp_path / "data", splits=True))

    assert (dataset.name, dataset.usual_split) == ("folder", "official")
    assert Counter(clip.part for clip in dataset.clips if clip.class_name == "dog") == {"train": 6, "val": 2, "test": 2}


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    dataset = open_dataset("auto", write_folder(tmp_path / "data", ("train", "test")))

    assert (dataset.classes, dataset.usual_split) == (("test", "train"), "ratio")


def test_a_folder_reaches_deeper_and_leaves_out_what_is_no_sound(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", per_class=3)
    (root / "dog" / "small").mkdir()
    (root / "dog" / "000.wav").rename(root / "dog" / "small" / "000.wav")
    (root / "dog" / "notes.txt").touch()
    (root / "dog" / ".DS_Store").touch()
    (root / ".hidden").mkdir()

    dataset = open_dataset("auto", root)

    assert "dog/small/000.wav" in {clip.name for clip in dataset.clips}
    assert len(dataset.clips) == 6
    assert dataset.notes == (f"left out 1 files that end in .txt in {root}: they are no sounds",)


@pytest.mark.parametrize(("column", "usual"), [(None, "ratio"), ("fold", "folds"), ("split", "official")])
def test_a_manifest_says_what_divides_its_clips(column: str | None, usual: str, tmp_path: Path) -> None:
    dataset = open_dataset("auto", write_csv(tmp_path / "data", column=column, nodes=2))

    assert dataset.usual_split == usual
    assert Counter(clip.node for clip in dataset.clips) == {0: 10, 1: 10}


def test_a_manifest_may_be_the_root_and_lie_elsewhere_than_the_sounds(tmp_path: Path) -> None:
    root = write_csv(tmp_path / "data", ("dog",), 2)
    manifest = tmp_path / "mine.csv"
    manifest.write_text(f"class,path,source\ndog,{root}/sounds/dog-000.wav,rex\nDog!,data/sounds/dog-001.wav,\n")

    with pytest.raises(FailedError, match="become one class"):
        open_dataset("auto", manifest)
    manifest.write_text(manifest.read_text().replace("Dog!", "dog"))
    assert {clip.source for clip in open_dataset("auto", manifest).clips} == {"rex", None}


def test_wrong_values_of_a_manifest_are_told_with_their_lines(tmp_path: Path) -> None:
    manifest = tmp_path / "mine.csv"
    manifest.write_text("path,class,fold,split,node\na.wav,dog,0,tset,-1\na.wav,?,2,test,\n")

    with pytest.raises(FailedError, match="5 wrong values") as caught:
        open_dataset("csv", manifest)
    told = str(caught.value)
    for words in (
        "mine.csv:2 the fold is '0'",
        "the split is 'tset'",
        "the node is '-1'",
        "mine.csv:3 the class is '?'",
    ):
        assert words in told
    assert "the path of line 2 again" in told


def test_a_directory_of_no_layout_is_told_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()

    with pytest.raises(MissingError, match="none of the layouts") as caught:
        open_dataset("auto", tmp_path)
    for layout in WRITERS:
        assert f"{layout}: " in str(caught.value)


@pytest.mark.parametrize("given", [".", "data/meta", "data/audio"])
def test_a_root_beside_or_above_the_right_one_is_answered_with_it(given: str, tmp_path: Path) -> None:
    root = write_esc50(tmp_path / "data", ("dog",), 5)

    with pytest.raises(MissingError) as caught:
        open_dataset("auto", tmp_path / given)
    assert f"did you mean {root}?" in caught.value.details


def test_a_directory_of_two_layouts_is_ambiguous_and_both_are_named(tmp_path: Path) -> None:
    write_esc50_folds(write_esc50(tmp_path / "data"))

    with pytest.raises(MissingError, match="could be esc50 or esc50_folds") as caught:
        open_dataset("auto", tmp_path / "data")
    assert caught.value.hint == "--set data.dataset=esc50 says which it is"
    assert open_dataset("esc50_folds", tmp_path / "data").name == "esc50_folds"


# A directory with sounds is a class of a folder, whatever it is called.
@pytest.mark.parametrize("layout", [name for name in WRITERS if name != "folder"])
def test_data_of_one_layout_are_not_taken_for_anothers(layout: str, tmp_path: Path) -> None:
    root = write_esc50(tmp_path / "esc50", ("dog",), 5) if layout != "esc50" else write_vegas(tmp_path / "v", ("dog",))
    with pytest.raises(Feda2vError):
        open_dataset(layout, root)


def test_two_hundred_thousand_rows_are_listed_in_seconds(tmp_path: Path) -> None:
    """Empty files: 20,000 of them, so that the test is quick; each costs the same."""
    (tmp_path / "audio").mkdir()
    rows = []
    for number in range(20_000):
        (tmp_path / "audio" / f"{number:011}_000030.wav").touch()
        rows.append(f"{number:011},30,label {number % 309},{'test' if number % 10 == 0 else 'train'}")
    (tmp_path / "vggsound.csv").write_text("\n".join(rows))
    started = time.process_time()

    assert len(open_dataset("auto", tmp_path).clips) == 20_000
    assert time.process_time() - started < 3


@pytest.mark.skipif(os.geteuid() == 0, reason="the system refuses root nothing")
def test_a_directory_that_may_not_be_listed_is_told_in_the_systems_words(tmp_path: Path) -> None:
    root = write_vegas(tmp_path / "data", ("dog",), 2)
    (root / "dog" / "audios").chmod(0)

    with pytest.raises(FailedError, match="audios cannot be listed — Permission denied"):
        open_dataset("auto", root)
    (root / "dog" / "audios").chmod(0o755)
