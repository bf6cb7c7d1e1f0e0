"""What a layout is, and what all of them check alike."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.data.clip import FileClip
from feda2v_cli.errors import FailedError, MissingError, closest
from feda2v_cli.paths import entries, is_directory, is_there
from feda2v_cli.profile.schema import DatasetName, PartName, SplitName

#: Of files that hold sounds; what a file with such a name really holds, its bytes tell.
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff")
#: What people call the parts of an official split.
PARTS: dict[str, PartName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_SHOWN = 5


@dataclass(frozen=True)
class Listing:
    """The clips of a data set.

    Attributes:
        clips: in any order.
        notes: what was left out and why, in sentences.
    """

    clips: tuple[FileClip, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One way in which the files of a data set lie.

    Attributes:
        name: what profiles call it.
        holds: what its root holds, for messages.
        recognises: whether a root looks like it; reads a directory or two, and at most the first line of a file.
        usual_split: what divides its clips unless the profile says otherwise; reads as little.
        clips: lists the clips of a root; reads no audio. The second argument says whether clips whose file is not
            there are left out, and not an error.
    """

    name: DatasetName
    holds: str
    recognises: Callable[[Path], bool]
    usual_split: Callable[[Path], SplitName]
    clips: Callable[[Path, bool], Listing]


def no_root(root: Path, key: str) -> MissingError:
    """The error for a root that is not there, or is a file.

    Args:
        root: that a profile names.
        key: of the profile that names it.
    """
    if is_there(root):
        return MissingError(f"{key} {root} is a file — expected the directory of a data set")
    siblings = [path.name for path in entries(root.parent) if is_directory(path)] if is_directory(root.parent) else []
    near = closest(root.name, siblings)
    return MissingError(
        f"{key} {root} is not there",
        [f"did you mean {root.parent / near}?"] if near else [],
        hint="--data-root DIR takes the directory of a data set; without it the built-in sounds are used"
        if key == "data.root"
        else f"--set {key}=DIR",
    )


def check_classes(where: Path, categories: Iterable[tuple[str, str, str]]) -> None:
    """Refuse categories of which several would become one class, or none.

    Args:
        where: the metadata, for the error.
        categories: category, the place where it stands first, and the class that it becomes.

    Raises:
        FailedError: there are some.
    """
    together: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for category, place, name in categories:
        together[name].setdefault(category, place)
    problems = [
        f"{' and '.join(f'{category!r} ({place})' for category, place in places.items())} would become {name}"
        for name, places in together.items()
        if len(places) > 1
    ]
    if problems:
        raise FailedError(
            f"{where} has categories that become one class",
            first(problems),
            hint="name them so that they differ in more than case, accents and signs",
        )


def without_absent(
    metadata: Path, audio: Path, absent: Sequence[str], named: int, *, skip_absent: bool
) -> tuple[str, ...]:
    """The notes on files that metadata name and that are not there.

    Args:
        metadata: that names them.
        audio: where they should lie.
        absent: what says which they are, one each.
        named: how many the metadata name.
        skip_absent: whether they are left out.

    Raises:
        MissingError: there are some, and they are not to be left out; or none of all is there.
    """
    if not absent:
        return ()
    if not skip_absent or len(absent) == named:
        raise MissingError(
            f"{audio} lacks {len(absent)} of the {named} files that {metadata} names",
            first(absent),
            hint="complete the download, or remove those rows; --skip-unreadable leaves them out",
        )
    return (f"left out {len(absent)} of the {named} clips that {metadata} names: their files are not there",)


def first(lines: Sequence[str]) -> list[str]:
    """The first of many lines, and how many more there are."""
    more = len(lines) - _SHOWN
    return list(lines[:_SHOWN]) + ([f"and {more} more"] if more > 0 else [])


def listing(directory: Path) -> str:
    """What a directory holds, in words."""
    names = sorted(path.name for path in entries(directory) if not path.name.startswith("."))
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") if names else "nothing"


def names_in(directory: Path) -> list[str]:
    """Names of all that a directory holds, in any order.

    Raises:
        FailedError: it cannot be listed.
    """
    try:
        return os.listdir(directory)
    except OSError as error:
        raise _unlisted(directory, error) from error


def walk(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """Every directory within a directory, itself first, with the sorted names of the files in it.

    Raises:
        FailedError: one of them cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise _unlisted(Path(error.filename or directory), error) from error

    for place, inner, names in os.walk(directory, onerror=fail):
        inner.sort()
        yield place, sorted(names)


def _unlisted(directory: Path, error: OSError) -> FailedError:
    return FailedError(f"{directory} cannot be listed — {error.strerror}", hint=f"ls -ld {directory}")


def is_audio(name: str) -> bool:
    """Whether a file is called as files with sounds are. Files whose name begins with a point are hidden, and none."""
    return name.lower().endswith(AUDIO_ENDINGS) and not name.startswith(".")
