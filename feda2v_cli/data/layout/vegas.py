"""VEGAS: a directory per class with `video_info.csv`, a row a video, and `audios/video_00000.wav`, numbered alike.

Zhou et al., "Visual to Sound: Generating Natural Sound for Videos in the Wild" (CVPR 2018).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.layout.layout import Layout, Listing, check_classes, is_audio, listing, names_in, without_absent
from feda2v_cli.data.layout.table import read_rows
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import entries, is_directory, is_file
from feda2v_cli.profile.schema import as_class_name

_INFO, _AUDIO = "video_info.csv", "audios"
_VIDEO = re.compile(r"\bvideo_(\d+)\b")
#: An id of YouTube, alone or in an address.
_YOUTUBE = re.compile(r"^(?:https?://\S*(?:[?&]v=|youtu\.be/|/embed/))?([\w-]{11})(?:[&?#]\S*)?$")


def vegas_clips(root: Path, skip_absent: bool = False) -> Listing:
    """All clips that the `video_info.csv` of the classes list. Reads no audio.

    Of their columns only two are looked for, by what they hold: names like `video_00000`, without which rows are
    numbered from 0 as they stand; and ids of YouTube, which tell of which video a clip is. A first row without any
    digit is a header.

    Args:
        root: the directory that holds the directories of the classes.
        skip_absent: leave out clips whose file is not there.

    Raises:
        MissingError: the root, classes, audio directories or files that the metadata list are not there.
        FailedError: the metadata is no table, or two directories would become one class.
    """
    directories = _classes(root)
    if not directories:
        raise MissingError(
            f"{root} holds no directory with a {_INFO}",
            [f"it holds {listing(root)}", f"expected a directory per class with {_INFO} and {_AUDIO}/video_00000.wav"],
            hint="--data-root is the directory that holds those of the classes",
        )
    for directory in directories:
        if not as_class_name(directory.name):
            raise FailedError(f"{directory} is no class — expected a name in Latin letters or digits")
    check_classes(root, ((path.name, f"directory {path.name}", as_class_name(path.name) or "") for path in directories))
    clips: list[FileClip] = []
    notes: list[str] = []
    for directory in directories:
        own, told = _of_class(directory, skip_absent=skip_absent)
        clips += own
        notes += told
    return Listing(tuple(clips), tuple(notes))


def _classes(root: Path) -> list[Path]:
    return [path for path in entries(root) if is_directory(path) and is_file(path / _INFO)]


def _of_class(directory: Path, *, skip_absent: bool) -> tuple[list[FileClip], list[str]]:
    metadata, audio = directory / _INFO, directory / _AUDIO
    if not is_directory(audio):
        raise MissingError(f"{audio} is not there", [f"{directory} holds {listing(directory)}"])
    rows = read_rows(metadata)
    if rows and not any(character.isdigit() for character in "".join(rows[0][1])):
        rows = rows[1:]
    if not rows:
        raise FailedError(f"{metadata} is empty — it names no clips")
    numbers = _numbers(metadata, rows)
    sources = _sources(rows)
    files: dict[int, str] = {}
    for name in sorted(names_in(audio), reverse=True):  # of several with one number, .flac comes before .wav
        found = _VIDEO.match(name)
        if found and is_audio(name):
            files[int(found[1])] = name
    absent = [f"{metadata}:{line} video_{number:05}.wav" for line, number in numbers.items() if number not in files]
    notes = list(without_absent(metadata, audio, absent, len(numbers), skip_absent=skip_absent))
    unnamed = len(files.keys() - set(numbers.values()))
    if unnamed:
        notes.append(f"left out {unnamed} files of {audio} that {_INFO} does not list")
    class_name = as_class_name(directory.name) or ""
    clips = [
        FileClip(f"{directory.name}/{files[number]}", class_name, source=source, path=audio / files[number])
        for number, source in zip(numbers.values(), sources, strict=True)
        if number in files
    ]
    return clips, notes


def _numbers(metadata: Path, rows: Sequence[tuple[int, list[str]]]) -> dict[int, int]:
    """The number of each row's video, by the row's line."""
    for column in range(len(rows[0][1])):
        named = [_VIDEO.search(values[column]) for _, values in rows]
        if all(named):
            numbers = {line: int(found[1]) for (line, _), found in zip(rows, named, strict=True) if found}
            if len(set(numbers.values())) < len(numbers):
                raise FailedError(f"{metadata} names a video twice, in column {column + 1}")
            return numbers
    return {line: number for number, (line, _) in enumerate(rows)}


def _sources(rows: Sequence[tuple[int, list[str]]]) -> list[str | None]:
    """The video on YouTube of each row, from the first column that holds ids alone."""
    for column in range(len(rows[0][1])):
        ids = [_YOUTUBE.match(values[column].strip()) for _, values in rows]
        found = [match[1] for match in ids if match]
        if len(found) == len(rows) and (len(set(found)) > 1 or len(rows) == 1):
            return list(found)
    return [None] * len(rows)


VEGAS = Layout(
    name="vegas",
    holds=f"a directory per class with {_INFO} and {_AUDIO}/video_00000.wav",
    recognises=lambda root: bool(_classes(root)),
    usual_split=lambda root: "ratio",  # noqa: ARG005
    clips=vegas_clips,
)
