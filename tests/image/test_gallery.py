from pathlib import Path

import pytest
import torch
from audio_pictures import CLASSES, make_gallery
from PIL import Image
from tiny_pipelines import tiny_clip, tiny_sentence_encoder

from feda2v_cli.embedding.text import SentenceText
from feda2v_cli.errors import FailedError, MissingError, UsageError
from feda2v_cli.image.gallery import open_gallery, opened, read_gallery, recall
from feda2v_cli.profile.schema import AdapterSection

CPU = torch.device("cpu")


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return make_gallery(tmp_path / "gallery")


def test_names_are_captions_and_folders_are_classes(gallery: Path) -> None:
    pictures = read_gallery(gallery, AdapterSection())
    assert len(pictures) == 8
    assert (pictures[4].name, pictures[4].caption, pictures[4].class_name) == (
        "sea_waves/sea_waves_0.png",
        "a photo of a sea waves",
        "sea_waves",
    )


def test_captions_stand_word_for_word_in_a_table(gallery: Path) -> None:
    (gallery / "captions.csv").write_text("file,caption,class\ndog/dog_0.png,A brown dog at night,dog\n")
    (picture,) = read_gallery(gallery, AdapterSection())
    assert (picture.caption, picture.class_name) == ("A brown dog at night", "dog")


def test_a_table_that_names_a_picture_that_is_not_there_is_told_with_its_line(gallery: Path) -> None:
    (gallery / "captions.csv").write_text("file,caption\ndog/dog_0.png,a dog\ndog/none.png,a dog\n")
    with pytest.raises(MissingError, match=r"captions.csv:3 names dog/none.png"):
        read_gallery(gallery, AdapterSection())


def test_a_table_without_captions_is_told(gallery: Path) -> None:
    (gallery / "captions.csv").write_text("file,text\ndog/dog_0.png,a dog\n")
    with pytest.raises(UsageError, match="has no column caption"):
        read_gallery(gallery, AdapterSection())


def test_damaged_pictures_are_named(gallery: Path) -> None:
    path = gallery / "dog" / "dog_1.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FailedError, match="1 picture of the gallery") as failure:
        read_gallery(gallery, AdapterSection())
    assert failure.value.details[0].startswith("dog/dog_1.png: ")


def test_a_gallery_without_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(MissingError, match="holds no pictures"):
        read_gallery(tmp_path, AdapterSection())


def test_the_caption_s_own_point_finds_its_picture_first(gallery: Path, tmp_path: Path) -> None:
    encoder = SentenceText(str(tiny_sentence_encoder(tmp_path / "sentences")), CPU)
    found = open_gallery(gallery, AdapterSection(), encoder, None, 8)
    centre = {"text": found._points["text"].mean(0)}
    for place, name in enumerate(CLASSES):
        made = found.make({"text": found._points["text"][2 * place]}, centre, 0)
        assert made.details["nearest"][0]["class"] == name
        assert made.details["nearest"][0]["cosine"] == pytest.approx(1.0, abs=1e-4)
        assert max(made.image.size) == 8


def test_of_a_clip_the_pictures_themselves_are_compared(gallery: Path, tmp_path: Path) -> None:
    encoder = SentenceText(str(tiny_clip(tmp_path / "clip")), CPU)
    found = open_gallery(gallery, AdapterSection(), encoder, None, None)
    assert "by their own embeddings" in found.description
    assert tuple(found._points["text"].shape) == (8, 24)
    with pytest.raises(UsageError, match=r"captions lie in text \[24\] — the adapters in text \[40\]"):
        found.check({"text": (40,)}, "the adapters")


def test_transparent_pictures_stand_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert opened(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_recall_counts_hits_and_chance_is_that_of_drawing_without_putting_back() -> None:
    at = recall([["dog", "cow"], ["cow", "dog"]], ["dog", "dog"], {"dog": 1, "cow": 3}, 4, 1)
    assert at == {"recall": 0.5, "chance": 0.25}
    both = recall([["dog", "cow"], ["cow", "dog"]], ["dog", "dog"], {"dog": 1, "cow": 3}, 4, 2)
    assert both["recall"] == 1.0
    assert both["chance"] == pytest.approx(0.5)
