import base64
import json
import re
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import soundfile
from PIL import Image
from run_samples import federated, pictures

from feda2v_cli.data.builtin import builtin_clips
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Picture, Sheet, Text
from feda2v_cli.report.sections.pictures import pictures as section_of
from feda2v_cli.report.sound import HEIGHT, WIDTH
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.record import RunRecord


def shown(run: RunDirectory, *, with_audio: bool = False) -> tuple[list[Picture], list[str]]:
    """Pictures, and the texts beside them."""
    section = section_of(RunContent.of(RunRecord.read(run.path), with_audio=with_audio))
    assert section is not None
    (sheet,) = [part for part in section.parts if isinstance(part, Sheet)]
    return [picture for _, row in sheet.rows for picture in row], [
        part.text for part in section.parts if isinstance(part, Text)
    ]


def content(uri: str) -> bytes:
    return base64.b64decode(re.sub("^data:[a-z]+/[a-z]+;base64,", "", uri))


def test_pictures_stand_small_by_class_with_what_they_were_made_of(tmp_path: Path) -> None:
    found, texts = shown(pictures(tmp_path))
    assert [picture.caption for picture in found[:2]] == [
        "5-dog-04.wav, adapter, node server, test, heard dog, seed 7, nearest: a dog",
        "target, seed 7, nearest: a dog",
    ]
    assert all(Image.open(BytesIO(content(picture.image))).size == (320, 320) for picture in found)
    assert texts == ["The clips are not in this page: --with-audio puts them and their spectrograms in."]


def test_nothing_of_a_clip_is_in_the_page_unless_the_user_allows_it(tmp_path: Path) -> None:
    assert not any(picture.sound or picture.spectrogram for picture in shown(pictures(tmp_path))[0])


def test_with_the_user_s_leave_clips_are_heard_and_seen(tmp_path: Path) -> None:
    found, texts = shown(pictures(tmp_path), with_audio=True)
    of_clip, of_target = found[:2]
    samples, rate = soundfile.read(BytesIO(content(of_clip.sound)))
    (clip,) = [clip for clip in builtin_clips() if clip.name == "5-dog-04.wav"]
    assert rate == 16000
    assert samples == pytest.approx(clip.read().samples[0], abs=1e-4)
    assert Image.open(BytesIO(content(of_clip.spectrogram))).size == (WIDTH, HEIGHT)
    assert not of_target.sound
    assert texts == []


def test_a_file_of_the_user_s_own_is_found_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    soundfile.write("mine/5-dog-04.wav", [0.1, -0.1] * 8000, 8000)
    run = pictures(tmp_path / "runs", words=["--audio", "mine/5-dog-04.wav"])
    monkeypatch.chdir("/")
    found, _ = shown(run, with_audio=True)
    assert soundfile.info(BytesIO(content(found[0].sound))).samplerate == 8000


def test_clips_that_are_gone_are_said_to_be(tmp_path: Path) -> None:
    run = pictures(tmp_path, classes=("unicorn",))
    assert shown(run, with_audio=True)[0][0].problem == "5-unicorn-04.wav cannot be heard: it is not there any more"


@pytest.mark.parametrize("damage", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_picture_that_is_damaged_is_named_and_the_others_are_shown(tmp_path: Path, damage: bytes) -> None:
    run = pictures(tmp_path)
    (run.path / "images" / "adapter" / "0.png").write_bytes(damage)
    found, _ = shown(run)
    assert found[0].image == ""
    assert found[0].problem.startswith("adapter/0.png cannot be read: ")
    assert all(picture.image for picture in found[1:])


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    run = pictures(tmp_path)
    shutil.rmtree(run.path / "images" / "target")
    assert shown(run)[0][1].problem == "target/0.png cannot be read: No such file or directory"


def test_pictures_of_the_rounds_of_a_federation_are_shown_with_their_round(tmp_path: Path) -> None:
    run, source = federated(tmp_path), pictures(tmp_path / "other")
    for number in (5, 10):
        shutil.copytree(source.path / "images", run.path / "images" / f"round_{number:02}")
        path = run.path / "images" / f"round_{number:02}" / "images.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"round": number}))
    found, _ = shown(run)
    rounds = [re.findall(r"round \d+", picture.caption) for picture in found[:4]]
    assert rounds == [["round 5"], ["round 5"], ["round 10"], ["round 10"]]


def test_of_very_many_pictures_the_last_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feda2v_cli.report.sections.pictures.MOST_PICTURES", 3)
    found, texts = shown(pictures(tmp_path))
    assert len(found) == 3
    assert texts[0] == "The last 3 of 4 pictures."


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"pictures": 3}', '{"pictures": [3, {}, {"file": 3}]}', '{"pictures": null}']
)
def test_a_list_that_holds_no_pictures_is_no_section(tmp_path: Path, text: str) -> None:
    run = federated(tmp_path)
    (run.path / "images.json").write_text(text)
    content = RunContent.of(RunRecord.read(run.path), with_audio=False)
    assert section_of(replace(content, with_audio=True)) is None
