from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image

from feda2v_cli.image.album import Drawn, Wanted, draw
from feda2v_cli.image.picture import Made, read_origin


class Colours:
    """A maker of pictures of one colour, which the seed says."""

    origin: Mapping[str, str] = {"pipeline": "colours"}
    description = "colours"

    def __init__(self) -> None:
        self.made = 0

    def check(self, shapes: Mapping[str, tuple[int, ...]], whose: str) -> None:
        pass

    def make(self, point: object, centre: object, seed: int) -> Made:  # noqa: ARG002
        self.made += 1
        return Made(Image.new("RGB", (4, 4), (seed, 0, 0)), {"note": "häß"})

    def close(self) -> None:
        pass


def wanted(count: int, shift: float = 0.0) -> list[Wanted]:
    return [
        Wanted(
            f"dog_{place}.png",
            {"source": "adapter", "class": "dog", "clip": "ä.wav"},
            {"text": torch.ones(3) + shift},
            place,
        )
        for place in range(count)
    ]


def drawn(directory: Path, maker: Colours, these: list[Wanted]) -> list[Drawn]:
    return draw(these, maker, {}, directory, lambda *_: None)


def test_every_picture_says_where_it_comes_from(tmp_path: Path) -> None:
    drawn(tmp_path, Colours(), wanted(1))
    origin = read_origin(tmp_path / "dog_0.png")
    assert origin is not None
    assert origin["pipeline"] == "colours"
    assert origin["clip"] == "ä.wav"
    assert origin["seed"] == "0"
    assert len(origin["embedding"]) == 16


def test_what_is_there_is_not_made_again_and_keeps_its_bytes_and_details(tmp_path: Path) -> None:
    drawn(tmp_path, Colours(), wanted(3))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "dog_1.png").unlink()
    maker = Colours()
    again = drawn(tmp_path, maker, wanted(3))
    assert maker.made == 1
    assert [one.fresh for one in again] == [False, True, False]
    assert again[0].details == {"note": "häß"}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pictures_of_something_else_and_damaged_ones_are_made_anew(tmp_path: Path) -> None:
    drawn(tmp_path, Colours(), wanted(3))
    path = tmp_path / "dog_2.png"
    path.write_bytes(path.read_bytes()[:-30])
    maker = Colours()
    drawn(tmp_path, maker, wanted(3))
    assert maker.made == 1
    drawn(tmp_path, maker, wanted(3, shift=1.0))
    assert maker.made == 4
