"""A picture with its origin: who made it of what, as text chunks of the PNG."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from feda2v_cli.atomic_write import atomic_write
from feda2v_cli.errors import FailedError, MissingError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class Made:
    """What a maker made of an embedding.

    Attributes:
        image: RGB.
        details: what else there is to say of it, for images.json.
    """

    image: "Image"
    details: Mapping[str, Any] = field(default_factory=dict)


class PictureMaker(Protocol):
    """Turns a point of the target spaces into a picture: paints it, or finds it.

    Attributes:
        origin: everything about it that changes a picture, for the PNG's text chunks.
        description: for the user.
    """

    @property
    def origin(self) -> Mapping[str, str]: ...  # noqa: D102 - described above
    @property
    def description(self) -> str: ...  # noqa: D102

    def check(self, shapes: Mapping[str, tuple[int, ...]], whose: str) -> None:
        """Refuse embeddings of other spaces or shapes than it takes.

        Raises:
            UsageError: they are.
        """

    def make(self, point: Mapping[str, "Tensor"], centre: Mapping[str, "Tensor"], seed: int) -> Made:
        """One picture.

        Args:
            point: by space, float32 [*shape], in the targets' own units.
            centre: mean target by space, for those who compare.
            seed: the same seed gives the same picture.

        Raises:
            FailedError: memory does not suffice.
        """

    def close(self) -> None:
        """Let go of the memory that it holds."""


def pillow() -> Any:
    """Pillow's module of images.

    Raises:
        MissingError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingError(
            "pictures need Pillow, which is not installed", hint="pip install 'feda2v[images]'"
        ) from error
    return Image


def write_picture(path: Path, image: "Image", origin: Mapping[str, str]) -> None:
    """Write a PNG with its origin; a reader sees all of it or nothing.

    Args:
        path: the file.
        image: the picture.
        origin: text chunks by keyword.

    Raises:
        FailedError: it cannot be written.
    """
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    for keyword, text in origin.items():
        chunks.add_itxt(keyword, text) if not text.isascii() else chunks.add_text(keyword, text)
    content = BytesIO()
    image.save(content, format="PNG", pnginfo=chunks)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, durable=False) as file:
            file.write(content.getvalue())
    except OSError as error:
        raise FailedError(f"{path} cannot be written — {error.strerror}", hint="-o DIR writes elsewhere") from error


def read_origin(path: Path) -> dict[str, str] | None:
    """The text chunks of a PNG that is whole; None for what is no such file."""
    try:
        with pillow().open(path) as image:
            image.load()
            return {str(keyword): str(text) for keyword, text in image.text.items()}
    except (OSError, ValueError, SyntaxError, AttributeError):
        return None
