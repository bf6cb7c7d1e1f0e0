from collections.abc import Callable
from pathlib import Path

import pytest

from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.data.esc50 import class_name, esc50_clips
from feda2v_cli.errors import FailedError, MissingError

Esc50 = Callable[..., Path]


def rewrite(root: Path, change: Callable[[str], str]) -> None:
    metadata = root / "meta" / "esc50.csv"
    metadata.write_text(change(metadata.read_text()))


def test_clips_have_the_class_and_fold_of_the_metadata(esc50: Esc50) -> None:
    clip = next(clip for clip in esc50_clips(esc50()) if clip.name == "3-1001-B-1.wav")

    assert (clip.class_name, clip.fold) == ("sea_waves", 3)
    assert clip.read().sample_rate == 16_000


@pytest.mark.parametrize(
    ("category", "name"),
    [("Sea waves", "sea_waves"), ("dog", "dog"), ("Glass-Breaking ", "glass_breaking"), ("a__b", "a_b")],
)
def test_categories_become_lower_case_words_joined_by_underscores(category: str, name: str) -> None:
    assert class_name(category) == name


def test_listing_reads_no_audio(esc50: Esc50) -> None:
    root = esc50()
    for path in (root / "audio").iterdir():
        path.write_bytes(b"")

    assert len(esc50_clips(root)) == 20


def test_other_columns_a_byte_order_mark_and_windows_line_ends_do_not_matter(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: "\ufeff" + "\r\n".join(f"{line},x" for line in text.splitlines()))

    assert len(esc50_clips(root)) == 20


def test_the_order_of_rows_does_not_matter(esc50: Esc50) -> None:
    root = esc50()
    before = open_dataset("esc50", root).clips
    rewrite(root, lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]))

    assert open_dataset("esc50", root).clips == before


def test_a_root_that_is_not_there_names_the_closest_sibling(esc50: Esc50) -> None:
    root = esc50(name="ESC-50-master")

    with pytest.raises(MissingError, match="ESC-50-mster is not there") as caught:
        esc50_clips(root.parent / "ESC-50-mster")
    assert caught.value.details == (f"did you mean {root}?",)


def test_a_root_that_is_a_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "root").touch()

    with pytest.raises(MissingError, match="is a file"):
        esc50_clips(tmp_path / "root")


@pytest.mark.parametrize(
    ("gone", "title"), [("meta/esc50.csv", "esc50.csv is not there"), ("audio", "audio is not there")]
)
def test_a_part_that_is_not_there_is_named(esc50: Esc50, gone: str, title: str) -> None:
    root = esc50()
    (root / gone).rename(root / "elsewhere")

    with pytest.raises(MissingError, match=title) as caught:
        esc50_clips(root)
    assert "elsewhere" in caught.value.details[0]


@pytest.mark.parametrize("text", ["", "\n", "filename,fold,target,category\n"])
def test_empty_metadata_is_an_error(esc50: Esc50, text: str) -> None:
    root = esc50()
    rewrite(root, lambda _: text)

    with pytest.raises(FailedError, match=r"esc50\.csv is empty"):
        esc50_clips(root)


def test_missing_columns_are_listed_with_what_is_there_instead(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text.replace("filename,fold", "file_name,part"))

    with pytest.raises(FailedError, match="lacks columns filename, fold") as caught:
        esc50_clips(root)
    assert "it has file_name, part, target" in str(caught.value)
    assert "is file_name meant to be filename?" in str(caught.value)


@pytest.mark.parametrize("fold", ["0", "6", "", "1.0", "first", "-1", "²"])
def test_a_wrong_fold_is_named_with_its_line(esc50: Esc50, fold: str) -> None:
    root = esc50()
    rewrite(root, lambda text: text.replace("A-0.wav,2,", f"A-0.wav,{fold},"))

    with pytest.raises(FailedError, match="1 wrong value") as caught:
        esc50_clips(root)
    assert f"esc50.csv:4 fold is {fold!r} — expected 1 to 5" in str(caught.value)


def test_a_short_row_is_named_with_its_line(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text + "5-9-A-1.wav\n")

    with pytest.raises(FailedError, match="2 wrong values") as caught:
        esc50_clips(root)
    assert "esc50.csv:22 category is ''" in str(caught.value)


def test_a_file_that_is_named_twice_is_an_error(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text + text.splitlines()[1] + "\n")

    with pytest.raises(FailedError, match="2 wrong values") as caught:
        esc50_clips(root)
    assert "esc50.csv:22 1-1000-A-0.wav is named twice" in str(caught.value)


def test_metadata_that_is_no_text_is_an_error(esc50: Esc50) -> None:
    root = esc50()
    (root / "meta" / "esc50.csv").write_bytes(b"\xff\xfe\x00filename")

    with pytest.raises(FailedError, match="no CSV file in UTF-8"):
        esc50_clips(root)


def test_absent_files_are_counted_and_the_first_are_named(esc50: Esc50) -> None:
    root = esc50()
    for path in (root / "audio").glob("*-A-*.wav"):
        path.unlink()

    with pytest.raises(MissingError, match="lacks 10 of the 20 files") as caught:
        esc50_clips(root)
    assert "esc50.csv:2 1-1000-A-0.wav" in str(caught.value)
    assert caught.value.details[-1] == "and 5 more"
