"""A directory per class, with sounds in it; or such directories in `train/`, `val/` and `test/`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.layout.layout import PARTS, Layout, Listing, check_classes, is_audio, listing, names_in, walk
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import entries, is_directory
from feda2v_cli.profile.schema import PartName, as_class_name

#: Directories that hold the sounds of all classes, in layouts that need metadata.
_NO_CLASSES = {"audio", "audios", "clips", "sounds", "wav", "wavs"}


def folder_clips(root: Path, skip_absent: bool = False) -> Listing:  # noqa: ARG001
    """All sounds in the directories of the classes, and in directories within them. Reads no audio.

    Args:
        root: the directory that holds those of the classes, or train, val and test with those of the classes.
        skip_absent: of no meaning here.

    Raises:
        MissingError: the root is not there, or holds no directories with sounds.
        FailedError: a directory's name is no class, or two would become one.
    """
    clips: list[FileClip] = []
    others: Counter[str] = Counter()
    categories = []
    for part, directory in _class_directories(root):
        name = as_class_name(directory.name)
        if name is None:
            raise FailedError(f"{directory} is no class — expected a name in Latin letters or digits")
        before = len(clips)
        for path, place in _files(directory):
            if is_audio(path.name):
                clips.append(FileClip(place, name, part=part, path=path))
            elif not path.name.startswith("."):
                others[path.suffix] += 1
        if len(clips) > before:
            categories.append((directory.name, f"directory {directory.relative_to(root)}", name))
    if not clips:
        raise MissingError(
            f"{root} holds no directory with sounds",
            [f"it holds {listing(root)}", "expected a directory per class, with .wav, .flac, .ogg or .mp3 files"],
        )
    check_classes(root, categories)
    notes = (f"left out {count} files{f' that end in {suffix}' if suffix else ''}" for suffix, count in others.items())
    return Listing(tuple(clips), tuple(f"{note} in {root}: they are no sounds" for note in notes))


def _class_directories(root: Path) -> Iterator[tuple[PartName | None, Path]]:
    has_parts = _has_parts(root)
    for directory in _directories(root):
        if has_parts:
            yield from ((PARTS[directory.name.lower()], inner) for inner in _directories(directory))
        else:
            yield None, directory


def _directories(root: Path) -> list[Path]:
    return [path for path in entries(root) if not path.name.startswith(".") and is_directory(path)]


def _has_parts(root: Path) -> bool:
    """Whether what stands first is train, val and test: `train` is a class too, and has sounds of its own then."""
    directories = _directories(root)
    return bool(directories) and all(path.name.lower() in PARTS and not _holds_sounds(path) for path in directories)


def _holds_sounds(directory: Path) -> bool:
    return any(map(is_audio, names_in(directory)))


def _files(directory: Path) -> Iterator[tuple[Path, str]]:
    """Files in a directory and in those within it, each with its place below the directory's parent."""
    for place, names in walk(directory):
        beside = Path(place)
        below = f"{directory.name}{place[len(str(directory)) :]}"
        for name in names:
            yield beside / name, f"{below}/{name}"


def _recognises(root: Path) -> bool:
    """At least two directories, each with sounds, of which none is one that holds the sounds of all classes."""
    directories = [path for _, path in _class_directories(root)]
    holding = {path.name.lower() for path in directories if _holds_sounds(path)}
    return len(holding) > 1 and not holding & _NO_CLASSES


FOLDER = Layout(
    name="folder",
    holds="a directory per class with sounds, or train/, val/ and test/ with such directories",
    recognises=_recognises,
    usual_split=lambda root: "official" if _has_parts(root) else "ratio",
    clips=folder_clips,
)
