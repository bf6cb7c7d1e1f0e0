from collections.abc import Callable
from pathlib import Path

import pytest

from feda2v_cli.data.dataset import open_dataset
from feda2v_cli.data.layout.esc50 import esc50_clips
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.profile.schema import as_class_name

Esc50 = Callable[..., Path]


def rewrite(root: Path, change: Callable[[str], str]) -> None:
    metadata = root / "meta" / "esc50.csv"
    metadata.write_text(change(metadata.read_text()))


def test_clips_have_the_class_and_fold_of_the_metadata(esc50: Esc50) -> None:
    clip = next(clip for clip in esc50_clips(esc50()).clips if clip.name == "3-1001-B-1.wav")

    assert (clip.class_name, clip.fold) == ("sea_waves", 3)
    assert clip.read().sample_rate == 16_000


@pytest.mark.parametrize(
    ("category", "name"),
    [("Sea waves", "sea_waves"), ("Glass-Breaking ", "glass_breaking"), ("Café", "cafe"), ("Bär", "bar")],
)
def test_categories_become_class_names_by_the_rule_of_profiles(esc50: Esc50, category: str, name: str) -> None:
    root = esc50(categories=("dog", category))

    assert {clip.class_name for clip in esc50_clips(root).clips} == {"dog", name}
    assert as_class_name(category) == name


@pytest.mark.parametrize(("one", "other"), [("c++", "c"), ("Sea waves", "sea_waves"), ("Cafe", "Café")])
def test_two_categories_that_would_become_one_class_are_both_named(esc50: Esc50, one: str, other: str) -> None:
    root = esc50(categories=(one, other))

    with pytest.raises(FailedError, match="become one class") as caught:
        esc50_clips(root)
    assert f"{one!r} (line 2) and {other!r} (line 12) would become {as_class_name(one)}" in str(caught.value)


def test_listing_reads_no_audio(esc50: Esc50) -> None:
    root = esc50()
    for path in (root / "audio").iterdir():
        path.write_bytes(b"")

    assert len(esc50_clips(root).clips) == 20


def test_other_columns_a_byte_order_mark_and_windows_line_ends_do_not_matter(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: "\ufeff" + "\r\n".join(f"{line},x" for line in text.splitlines()))

    assert len(esc50_clips(root).clips) == 20


def test_the_order_of_rows_does_not_matter(esc50: Esc50) -> None:
    root = esc50()
    before = open_dataset("esc50", root).clips
    rewrite(root, lambda text: "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])]))

    assert open_dataset("esc50", root).clips == before


def test_a_root_that_is_not_there_names_the_closest_sibling(esc50: Esc50) -> None:
    root = esc50(name="ESC-50-master")

    with pytest.raises(MissingError, match="ESC-50-mster is not there") as caught:
        open_dataset("esc50", root.parent / "ESC-50-mster")
    assert caught.value.details == (f"did you mean {root}?",)


def test_a_root_that_is_a_file_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "root").touch()

    with pytest.raises(MissingError, match="is a file"):
        open_dataset("esc50", tmp_path / "root")


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


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("5-9-A-1.wav", "has 1 field, the header has 7"),
        ("5-9-A-1.wav,5,1,dog, barking,True,1,A", "has 8 fields, the header has 7"),
        ('5-9-A-1.wav,5,1,"dog,True,1,A', "is no CSV — unexpected end of data"),
        ('5-9-A-1.wav,5,1,"dog\nbarking",True,1,A', "a quoted field goes on to line 23"),
        ('5-9-A-1.wav,5,1,"dog"s,True,1,A', "is no CSV — "),
    ],
)
def test_a_row_that_does_not_fit_the_header_is_named_with_its_line(esc50: Esc50, row: str, problem: str) -> None:
    root = esc50()
    rewrite(root, lambda text: text + row + "\n")

    with pytest.raises(FailedError, match="1 line that does not fit its header") as caught:
        esc50_clips(root)
    assert f"esc50.csv:22 {problem}" in str(caught.value)


def test_a_quote_that_swallows_rows_is_named_with_its_line(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text.replace("2-1000-A-0.wav,", '"2-1000-A-0.wav,').replace("4-1001-B-1", '4-1001-B"-1'))

    with pytest.raises(FailedError, match="not fit its header") as caught:
        esc50_clips(root)
    assert "esc50.csv:4 " in str(caught.value)


def test_a_comma_within_quotes_belongs_to_the_category(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text.replace(",dog,", ',"Dog, barking",'))

    assert {clip.class_name for clip in esc50_clips(root).clips} == {"dog_barking", "sea_waves"}


def test_a_column_that_is_named_twice_is_an_error(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text.replace("fold,target", "fold,fold"))

    with pytest.raises(FailedError, match="names the column fold twice"):
        esc50_clips(root)


def test_a_file_in_capitals_or_with_accents_in_another_form_is_found(esc50: Esc50) -> None:
    root = esc50()
    audio = root / "audio"
    (audio / "1-1000-A-0.wav").rename(audio / "1-1000-A-0.WAV")
    (audio / "1-1000-B-0.wav").rename(audio / "ha\u0308hne.wav")
    rewrite(root, lambda text: text.replace("1-1000-B-0.wav", "h\u00e4hne.wav"))

    paths = {clip.name: clip.path.name for clip in esc50_clips(root).clips}
    assert paths["1-1000-A-0.wav"] == "1-1000-A-0.WAV"
    assert paths["h\u00e4hne.wav"] == "ha\u0308hne.wav"


def test_a_name_that_could_be_either_of_two_files_is_asked_about(esc50: Esc50) -> None:
    root = esc50()
    audio = root / "audio"
    (audio / "1-1000-A-0.wav").rename(audio / "1-1000-A-0.WAV")
    (audio / "1-1000-B-0.wav").rename(audio / "1-1000-a-0.wav")
    rewrite(root, lambda text: text.replace("1-1000-B-0.wav", "1-1000-a-0.wav"))

    with pytest.raises(MissingError) as caught:
        esc50_clips(root)
    assert "1-1000-A-0.wav — which is it: 1-1000-A-0.WAV or 1-1000-a-0.wav?" in str(caught.value)


def test_two_rows_of_one_file_are_an_error(esc50: Esc50) -> None:
    root = esc50()
    rewrite(root, lambda text: text.replace("1-1000-B-0.wav", "1-1000-a-0.wav"))

    with pytest.raises(FailedError, match="is the file of line 2 too"):
        esc50_clips(root)


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
