"""A gallery: pictures that are there, of which the nearest to what an adapter makes of a sound is found."""

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from feda2v_cli.counted import counted
from feda2v_cli.embedding.text import SentenceText, TextEncoder, encode_cached
from feda2v_cli.errors import FailedError, MissingError, UsageError, first_line
from feda2v_cli.image.clip_model import ClipModel
from feda2v_cli.image.picture import Made, pillow
from feda2v_cli.paths import is_directory
from feda2v_cli.profile.schema import AdapterSection, as_class_name

if TYPE_CHECKING:
    from PIL.Image import Image

CAPTIONS = "captions.csv"
_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
#: How many of the nearest pictures are listed.
LISTED = 5
_SHOWN = 5


@dataclass(frozen=True)
class GalleryPicture:
    """A picture of a gallery.

    Attributes:
        path: the file.
        name: relative to the gallery.
        caption: what a text encoder reads.
        class_name: its class, where the gallery tells it.
    """

    path: Path
    name: str
    caption: str
    class_name: str | None


def read_gallery(directory: Path, section: AdapterSection) -> tuple[GalleryPicture, ...]:
    """The pictures of a directory, sorted by name; each is opened, so that a damaged one is told before it is needed.

    With a `captions.csv` (columns file, caption and, if known, class) it says which and what they are, word for word.
    Otherwise a picture's name is its caption, put into the prompt of classes, and its folder is its class.

    Args:
        directory: the gallery.
        section: the prompt.

    Raises:
        MissingError: the directory, a picture that captions.csv names, or Pillow is not there; no pictures.
        FailedError: pictures are damaged, or captions.csv cannot be read.
        UsageError: captions.csv lacks a column.
    """
    if not is_directory(directory):
        raise MissingError(f"images.gallery = {directory} — no such directory", hint="--gallery DIR")
    table = directory / CAPTIONS
    pictures = _captioned(directory, table) if table.is_file() else _named(directory, section)
    if not pictures:
        raise MissingError(
            f"images.gallery = {directory} holds no pictures",
            [f"expected files that end in {', '.join(sorted(_ENDINGS))}, in folders of their class, or {CAPTIONS}"],
        )
    damaged = [f"{picture.name}: {problem}" for picture in pictures if (problem := _problem(picture.path))]
    if damaged:
        more = [f"and {len(damaged) - _SHOWN} more"] if len(damaged) > _SHOWN else []
        raise FailedError(
            f"{counted(len(damaged), 'picture')} of the gallery {directory} cannot be read",
            damaged[:_SHOWN] + more,
            hint="take them out of the gallery, or mend them",
        )
    return tuple(pictures)


class Gallery:
    """Finds the nearest pictures by what their captions, or the pictures themselves, are in the target spaces.

    Args:
        directory: of the pictures.
        pictures: that it has.
        points: by target space, [pictures, *shape].
        joint: whether the points are of pictures, which lie elsewhere than texts do: they are centred at their own mean
            (the modality gap: Liang et al., Mind the Gap, 2022).
        size: pixels of the longer side that a copy has at most; None leaves it.
    """

    def __init__(
        self,
        directory: Path,
        pictures: Sequence[GalleryPicture],
        points: Mapping[str, Tensor],
        *,
        joint: bool,
        size: int | None,
    ) -> None:
        self.pictures = tuple(pictures)
        self._directory = directory
        self._points = dict(points)
        self._joint = joint
        self._size = size

    @property
    def origin(self) -> dict[str, str]:
        """Everything about it that changes what is found."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(f"{picture.name}\t{picture.caption}\n".encode(errors="surrogateescape"))
        for space, values in sorted(self._points.items()):
            digest.update(space.encode() + values.contiguous().numpy().tobytes())
        size = {} if self._size is None else {"size": str(self._size)}
        return {"gallery": self._directory.name, "pictures": digest.hexdigest()[:16]} | size

    @property
    def description(self) -> str:
        """Which gallery this is."""
        how = "their own embeddings" if self._joint else "the embeddings of their captions"
        return f"pictures: the nearest of {len(self.pictures)} in {self._directory}, by {how}"

    def check(self, shapes: Mapping[str, tuple[int, ...]], whose: str) -> None:
        """Refuse embeddings of other spaces or shapes than the captions have.

        Raises:
            UsageError: they are.
        """
        own = {space: tuple(values.shape[1:]) for space, values in self._points.items()}
        if any(own.get(space) != tuple(shape) for space, shape in shapes.items()):
            raise UsageError(
                f"the gallery's captions lie in {_words(own)} — {whose} in {_words(shapes)}",
                hint="name the text encoder that the adapters were trained with: --targets DIR",
            )

    def cosines(self, point: Mapping[str, Tensor], centre: Mapping[str, Tensor]) -> Tensor:
        """Cosine between a point and every picture, mean over the spaces, [pictures]; centred.

        Args:
            point: by space, [*shape].
            centre: mean target by space, [*shape].
        """
        found = []
        for space, values in point.items():
            points = self._points[space].flatten(1)
            middle = points.mean(0) if self._joint else centre[space].flatten()
            query = normalize((values - centre[space]).flatten(), dim=0)
            found.append(normalize(points - middle, dim=1) @ query)
        return torch.stack(found).mean(0)

    def make(self, point: Mapping[str, Tensor], centre: Mapping[str, Tensor], seed: int) -> Made:  # noqa: ARG002
        """The nearest picture; its details list the nearest five.

        Args:
            point: by space, [*shape].
            centre: mean target by space, [*shape].
            seed: not needed.
        """
        cosines = self.cosines(point, centre)
        nearest = cosines.argsort(descending=True, stable=True)[:LISTED].tolist()
        listed = [
            {
                "picture": self.pictures[place].name,
                "caption": self.pictures[place].caption,
                "class": self.pictures[place].class_name,
                "cosine": round(float(cosines[place]), 4),
            }
            for place in nearest
        ]
        image = opened(self.pictures[nearest[0]].path)
        if self._size is not None:
            image.thumbnail((self._size, self._size))
        return Made(image, {"nearest": listed})

    def close(self) -> None:
        """Nothing is held that matters."""


def open_gallery(
    directory: Path, section: AdapterSection, encoder: TextEncoder, cache: Path | None, size: int | None
) -> Gallery:
    """A gallery whose pictures have their points.

    Args:
        directory: of the pictures.
        section: the prompt.
        encoder: that made the targets; of a CLIP, the pictures themselves are embedded.
        cache: of captions.
        size: as of `Gallery`.

    Raises:
        MissingError: the directory, its pictures, or a package is not there.
        FailedError: pictures are damaged, or the encoder cannot be loaded.
        UsageError: captions.csv lacks a column, or a caption is too long.
    """
    pictures = read_gallery(directory, section)
    if isinstance(encoder, SentenceText) and encoder.is_joint:
        clip = ClipModel(encoder.path)
        points = {"text": torch.stack([clip.of_image(opened(picture.path)) for picture in pictures])}
        return Gallery(directory, pictures, points, joint=True, size=size)
    points = encode_cached(encoder, [picture.caption for picture in pictures], cache)
    return Gallery(directory, pictures, points, joint=False, size=size)


def opened(path: Path) -> "Image":
    """A picture as RGB, on white where it is transparent."""
    image_module = pillow()
    with image_module.open(path) as image:
        transparent = image.convert("RGBA")
    white = image_module.new("RGBA", transparent.size, "white")
    white.alpha_composite(transparent)
    converted: Image = white.convert("RGB")
    return converted


def recall(
    ranked: Sequence[Sequence[str | None]], classes: Sequence[str], held: Mapping[str, int], total: int, k: int
) -> dict[str, float]:
    """Share of clips with a picture of their class among the first k, and what chance would reach.

    Args:
        ranked: for each clip, the classes of the nearest pictures.
        classes: of the clips.
        held: pictures of each class in the gallery.
        total: pictures in the gallery.
        k: how many are looked at.
    """
    hits = [name in row[:k] for row, name in zip(ranked, classes, strict=True)]
    chance = [1 - _none_of(held[name], total, min(k, total)) for name in classes]
    return {"recall": sum(hits) / len(hits), "chance": sum(chance) / len(chance)}


def _none_of(right: int, total: int, drawn: int) -> float:
    """Probability that none of `right` pictures is among some drawn of all, without putting back."""
    probability = 1.0
    for draw in range(drawn):
        probability *= max(0, total - right - draw) / (total - draw)
    return probability


def _named(directory: Path, section: AdapterSection) -> list[GalleryPicture]:
    pictures = []
    for path in sorted(directory.rglob("*")):
        if path.suffix.lower() in _ENDINGS and path.is_file() and not path.name.startswith("."):
            class_name = None if path.parent == directory else as_class_name(path.parent.name)
            words = re.sub(r"[\W_]+", " ", path.stem).strip()
            words = re.sub(r"\s*\d+$", "", words) or (class_name or "").replace("_", " ") or path.stem
            caption = section.prompt.replace("{class}", words.lower())
            pictures.append(GalleryPicture(path, str(path.relative_to(directory)), caption, class_name))
    return pictures


def _captioned(directory: Path, table: Path) -> list[GalleryPicture]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FailedError(f"{table} cannot be read — {first_line(error)}") from error
    for column in ("file", "caption"):
        if column not in columns:
            raise UsageError(f"{table} has no column {column}", [f"it has {', '.join(columns)}"])
    pictures = []
    for number, row in enumerate(rows, 2):
        name, caption = (row["file"] or "").strip(), (row["caption"] or "").strip()
        if not name or not caption:
            raise UsageError(f"{table}:{number} — a picture needs a file and a caption")
        if not (directory / name).is_file():
            raise MissingError(f"{table}:{number} names {name}, which is not there")
        class_name = as_class_name(row.get("class") or "")
        pictures.append(GalleryPicture(directory / name, name, caption, class_name))
    return sorted(pictures, key=lambda picture: picture.name)


def _problem(path: Path) -> str | None:
    """Why a picture cannot be read; None when it can."""
    try:
        with pillow().open(path) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        return first_line(error)
    return None


def _words(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{space} {list(shape)}" for space, shape in shapes.items())
