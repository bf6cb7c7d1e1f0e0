"""Pictures as a contact sheet; with the clip's spectrogram and sound, where the user allows."""

import base64
import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Part, Picture, Section, Sheet, Text
from feda2v_cli.report.sections.anything import anything
from feda2v_cli.report.sound import Clips, flac, spectrogram
from feda2v_cli.run.record import RunRecord

#: A contact sheet is looked at, not studied: larger pictures make a page that cannot be mailed.
PICTURE_PIXELS, JPEG_QUALITY = 320, 82
MOST_PICTURES = 300
LIST = "images.json"
#: Of a picture, in this order; `heard` is the class whose target lies nearest to what an adapter makes of the clip.
_TOLD = ("round", "source", "node", "split", "heard", "seed")


def pictures(run: RunContent) -> Section | None:
    """The pictures that a run has made, by class: of clips, of true targets, and of rounds."""
    albums = [(directory, content) for directory, content in _albums(run.record) if _pictures_of(content)]
    if not albums:
        return None
    listed = [(directory, content, entry) for directory, content in albums for entry in _pictures_of(content)]
    parts: list[Part] = []
    if len(listed) > MOST_PICTURES:
        parts.append(Text(f"The last {MOST_PICTURES} of {len(listed)} pictures."))
    clips = Clips(run.record) if run.with_audio else None
    rows: dict[str, list[Picture]] = {}
    for directory, content, entry in listed[-MOST_PICTURES:]:
        told = {"round": content.get("round")} | dict(entry)
        rows.setdefault(str(entry.get("class") or "without a class"), []).append(_picture(directory, told, clips))
    if clips is None and any(entry.get("clip") for _, _, entry in listed):
        parts.append(Text("The clips are not in this page: --with-audio puts them and their spectrograms in."))
    _, last = albums[-1]
    figures = {name: last[name] for name in ("retrieval", "gallery", "score", "maker") if last.get(name)}
    return Section("Pictures", [*parts, Sheet(list(rows.items())), *anything("What is known of the pictures", figures)])


def _albums(record: RunRecord) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Directories of pictures with their lists: of the run itself, then round by round."""
    directories = [record.path, record.path / "images", *sorted((record.path / "images").glob("round_*"))]
    elsewhere = record.summary.get("directory")
    if record.kind == "images" and isinstance(elsewhere, str):
        directories.append(Path(str(record.info.get("directory") or "")) / elsewhere)
    for directory in {path.resolve(): path for path in directories}.values():
        try:
            content = json.loads((directory / LIST).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            yield directory, content


def _pictures_of(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = content.get("pictures")
    entries = listed if isinstance(listed, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("file"), str)]


def _picture(directory: Path, entry: Mapping[str, Any], clips: Clips | None) -> Picture:
    image, shape, sound, problems = "", "", "", []
    try:
        image = _thumbnail(directory / entry["file"])
    except ValueError as error:
        problems.append(f"{entry['file']} cannot be read: {error}")
    clip = entry.get("clip")
    if clips is not None and isinstance(clip, str):
        try:
            heard = clips.read(clip)
            shape, sound = _png(spectrogram(heard)), _uri("audio/flac", flac(heard))
        except ValueError as error:
            problems.append(f"{clip} cannot be heard: {error}")
    return Picture(", ".join(_caption(entry)), image, shape, sound, "; ".join(problems))


def _caption(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("clip"):
        yield str(entry["clip"])
    for name in _TOLD:
        value = entry.get(name)
        if value is not None and not isinstance(value, dict | list):
            yield str(value) if name in ("source", "split") else f"{name} {value}"
    nearest = entry.get("nearest")
    if isinstance(nearest, list) and nearest and isinstance(nearest[0], dict):
        yield f"nearest: {nearest[0].get('caption')}"


def _thumbnail(path: Path) -> str:
    """A picture, made small, as a data URI.

    Raises:
        ValueError: it cannot be read, is no picture, or a monstrous one.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (2 * PICTURE_PIXELS, 2 * PICTURE_PIXELS))
            small = picture.convert("RGB")
        small.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
    except UnidentifiedImageError as error:
        raise ValueError("it is no picture") from error
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(getattr(error, "strerror", None) or str(error)) from error
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
