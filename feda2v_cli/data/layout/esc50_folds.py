"""ESC-50 as the earlier system had it: `audio/fold00/` to `audio/fold04/`, with a `fold00.json` to `fold04.json` each.

A JSON file says the class of every file of its fold: `{"1-100032-A-0.wav": ["dog"]}`. Its folds are counted from 0;
here, as in the official ESC-50, from 1. Where there is a fold05 and no fold00, they are taken as they are.
"""

import json
import re
from pathlib import Path
from typing import Any

from feda2v_cli.counted import counted
from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.layout.esc50 import source_in
from feda2v_cli.data.layout.layout import (
    Layout,
    Listing,
    check_classes,
    first,
    is_audio,
    listing,
    names_in,
    without_absent,
)
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import is_directory, is_file
from feda2v_cli.profile.schema import as_class_name

_FOLD = re.compile(r"^fold(\d{1,3})$")


def esc50_folds_clips(root: Path, skip_absent: bool = False) -> Listing:
    """All clips that the JSON files name. Reads no audio.

    Args:
        root: the directory that holds `audio/fold00`. The JSON files lie in it, or in its `audio`.
        skip_absent: leave out clips whose file is not there.

    Raises:
        MissingError: the root, folds, a JSON file or files that it names are not there.
        FailedError: a JSON file is none, or does not say one class of each file.
    """
    folds = _folds(root)
    if not folds:
        raise MissingError(
            f"{root / 'audio' / 'fold00'} is not there",
            [f"{root} holds {listing(root)}", "expected audio/fold00 to audio/fold04 and fold00.json to fold04.json"],
            hint="--data-root is the directory that holds audio",
        )
    first_fold = 1 - min(1, min(folds))
    clips: list[FileClip] = []
    notes: list[str] = []
    categories: list[tuple[str, str, str]] = []
    for number, directory in folds.items():
        metadata = _metadata(root, directory.name)
        classes = _classes(metadata)
        there = set(names_in(directory))
        categories += [(category, metadata.name, as_class_name(category) or "") for category in classes.values()]
        absent = [f"{metadata}: {name}" for name in classes if name not in there]
        notes += without_absent(metadata, directory, absent, len(classes), skip_absent=skip_absent)
        unnamed = sorted(name for name in there if is_audio(name) and name not in classes)
        if unnamed:
            notes.append(f"left out {len(unnamed)} files of {directory} that {metadata.name} does not name")
        clips += [
            FileClip(
                name,
                as_class_name(category) or "",
                number + first_fold,
                source=source_in(name),
                path=directory / name,
            )
            for name, category in classes.items()
            if name in there
        ]
    if not clips:
        raise FailedError(f"the JSON files of {root} name no clips")
    check_classes(root, categories)
    return Listing(tuple(clips), tuple(notes))


def _folds(root: Path) -> dict[int, Path]:
    """Directory of each fold, by the number in its name."""
    audio = root / "audio"
    names = names_in(audio) if is_directory(audio) else []
    found = sorted((int(match[1]), match[0]) for match in map(_FOLD.match, names) if match)
    return {number: audio / name for number, name in found if is_directory(audio / name)}


def _metadata(root: Path, name: str) -> Path:
    places = _places(root, name)
    for path in places:
        if is_file(path):
            return path
    raise MissingError(f"{places[0]} is not there", [f"it says the classes of audio/{name}"])


def _places(root: Path, name: str) -> tuple[Path, Path]:
    return root / f"{name}.json", root / "audio" / f"{name}.json"


def _recognises(root: Path) -> bool:
    """Folds of other data sets, such as those of UrbanSound8K, have no such file beside them."""
    return any(is_file(path) for fold in _folds(root).values() for path in _places(root, fold.name))


def _classes(metadata: Path) -> dict[str, str]:
    """The category of each file."""
    try:
        content: Any = json.loads(metadata.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FailedError(f"{metadata} is no JSON — {error}") from error
    except OSError as error:
        raise MissingError(f"{metadata} cannot be read — {error.strerror}") from error
    if not isinstance(content, dict):
        raise FailedError(f'{metadata} names no clips — expected {{"1-100032-A-0.wav": ["dog"], …}}')
    classes: dict[str, str] = {}
    problems = []
    for name, value in content.items():
        category = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not name or Path(name).name != name:
            problems.append(f"{name!r} — expected the name of a file")
        elif not isinstance(category, str) or not as_class_name(category):
            problems.append(f'{name} is of {json.dumps(value)} — expected one class, like ["dog"]')
        else:
            classes[name] = category
    if problems:
        raise FailedError(f"{metadata} has {counted(len(problems), 'wrong value')}", first(problems))
    return classes


ESC50_FOLDS = Layout(
    name="esc50_folds",
    holds="audio/fold00/ to fold04/ and fold00.json to fold04.json",
    recognises=_recognises,
    usual_split=lambda root: "folds",  # noqa: ARG005
    clips=esc50_folds_clips,
)
