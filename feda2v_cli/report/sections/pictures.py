"""Pictures as a contact sheet; with the clip's spectrogram and sound, where the user allows."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Part, Picture, Section, Sheet, Text
from feda2v_cli.report.sound import Sound, find_clip, flac, spectrogram
from feda2v_cli.run.record import RunRecord

#: A contact sheet is looked at, not studied: larger pictures make a page that cannot be mailed.
PICTURE_PIXELS, JPEG_QUALITY = 320, 82
MOST_PICTURES = 300

#: Names under which a list of pictures, and what is known of one, may stand.
_LISTS = ("pictures", "images")
_FILES = ("path", "file", "picture", "image", "png")
_CLASSES = ("class", "class_name")
_CLIPS = ("clip", "audio", "sound")


def pictures(run: RunContent) -> Section | None:
    """The pictures that a run lists in `images.json`, by class."""
    listed, figures = _listed(run.record)
    if not listed:
        return None
    parts: list[Part] = []
    if figures:
        parts.append(Text("; ".join(figures)))
    if len(listed) > MOST_PICTURES:
        parts.append(Text(f"The first {MOST_PICTURES} of {len(listed)} pictures."))
    rows: dict[str, list[Picture]] = {}
    root = run.value("data.root")
    for entry in listed[:MOST_PICTURES]:
        name = str(_first(entry, _CLASSES) or "without a class")
        rows.setdefault(name, []).append(_picture(run, entry, None if root is None else Path(str(root))))
    if not run.with_audio and any(_first(entry, _CLIPS) for entry in listed):
        parts.append(Text("The clips are not in this page: --with-audio puts them and their spectrograms in."))
    return Section("Pictures", [*parts, Sheet(list(rows.items()))])


def _listed(record: RunRecord) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Pictures, and what `images.json` says beside them."""
    try:
        content = json.loads((record.path / "images.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return [], []
    beside: Mapping[str, Any] = content if isinstance(content, dict) else {}
    found = _first(beside, _LISTS) if beside else content
    if not isinstance(found, list):
        return [], []
    figures = [
        f"{name.replace('_', ' ')} {value}" for name, value in beside.items() if isinstance(value, str | int | float)
    ]
    return [entry for entry in found if isinstance(entry, dict) and _first(entry, _FILES)], figures


def _picture(run: RunContent, entry: Mapping[str, Any], root: Path | None) -> Picture:
    path = _found(run.record.path, Path(str(_first(entry, _FILES))))
    image, problem = "", ""
    try:
        image = _thumbnail(path)
    except (OSError, ValueError) as error:
        problem = f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}"
    shape, sound = "", ""
    clip = _first(entry, _CLIPS)
    if clip and run.with_audio:
        try:
            heard: Sound = find_clip(str(clip), run.record.path, root)
            shape, sound = _png(spectrogram(heard)), _uri("audio/flac", flac(heard))
        except (OSError, ValueError) as error:
            problem = "; ".join(part for part in (problem, f"{clip} cannot be heard: {error}") if part)
    return Picture(", ".join(_caption(entry)), image, shape, sound, problem)


def _caption(entry: Mapping[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        if name in (*_FILES, *_CLASSES) or not isinstance(value, str | int | float) or value == "":
            continue
        text = f"{value:.3f}" if isinstance(value, float) else str(value)
        yield Path(text).name if name in _CLIPS else f"{name.replace('_', ' ')} {text}"


def _first(entry: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name)), None)


def _found(directory: Path, path: Path) -> Path:
    """Where a file is that is named relative to the run, or to where the run was started."""
    return directory / path if (directory / path).exists() else path


def _thumbnail(path: Path) -> str:
    """A picture, made small, as a data URI.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no picture, or a monstrous one.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * PICTURE_PIXELS, 2 * PICTURE_PIXELS))
            small = picture.convert("RGB")
        small.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
    except UnidentifiedImageError as error:
        raise ValueError("it is no picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, SyntaxError) as error:
        raise ValueError(str(error)) from error
    written = BytesIO()
    small.save(written, "JPEG", quality=JPEG_QUALITY)
    return _uri("image/jpeg", written.getvalue())


def _png(pixels: Any) -> str:
    from PIL import Image

    written = BytesIO()
    Image.fromarray(pixels).save(written, "PNG", optimize=True)
    return _uri("image/png", written.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
