"""The official layout of ESC-50: `meta/esc50.csv` says class and fold of every file in `audio/`.

Piczak, "ESC: Dataset for Environmental Sound Classification" (2015), https://github.com/karolpiczak/ESC-50.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from feda2v_cli.counted import counted
from feda2v_cli.data.clip import FileClip
from feda2v_cli.data.layout.layout import Layout, Listing, check_classes, first, listing, without_absent
from feda2v_cli.data.layout.table import Row, read_table
from feda2v_cli.errors import FailedError, MissingError
from feda2v_cli.paths import entries, is_directory, is_file
from feda2v_cli.profile.schema import as_class_name

FOLDS = range(1, 6)
_METADATA, _AUDIO = Path("meta", "esc50.csv"), "audio"
#: Fold, source, take and label in the name of a file.
_FILENAME = re.compile(r"^\d+-(\d+)-[A-Za-z]-\d+\.\w+$")


def esc50_clips(root: Path, skip_absent: bool = False) -> Listing:
    """All clips that `meta/esc50.csv` names. Reads no audio: it looks only whether the files are there.

    Columns other than filename, fold, category and src_file may be there, and are not read. Without src_file, the
    source is that of the file's name, where that is made like the official ones. A file whose name differs from the
    metadata's only in case, or in how its accents are written, is found when no other does.

    Args:
        root: the directory that holds `meta` and `audio`.
        skip_absent: leave out clips whose file is not there.

    Raises:
        MissingError: the root, the metadata, the audio directory, or files that the metadata names are not there.
        FailedError: the metadata is empty, lacks columns, holds wrong values or rows that do not fit the header, or two
            categories that would become one class; with line numbers.
    """
    metadata, audio = root / _METADATA, root / _AUDIO
    for path, holds in ((metadata, is_file(metadata)), (audio, is_directory(audio))):
        if not holds:
            raise MissingError(
                f"{path} is not there",
                [f"{root} holds {listing(root)}", "expected the official layout: meta/esc50.csv and audio/*.wav"],
                hint="--data-root is the directory that holds meta and audio",
            )
    rows = read_table(
        metadata,
        ("filename", "fold", "category"),
        ("src_file",),
        hint="the official header is filename,fold,target,category,esc10,src_file,take",
    )
    _check_values(metadata, rows)
    check_classes(
        metadata, ((row["category"], f"line {row.line}", as_class_name(row["category"]) or "") for row in rows)
    )
    files, absent = _files(metadata, audio, rows)
    notes = without_absent(metadata, audio, absent, len(rows), skip_absent=skip_absent)
    clips = (
        FileClip(
            row["filename"],
            as_class_name(row["category"]) or "",
            int(row["fold"]),
            source=row.values.get("src_file") or source_in(row["filename"]),
            path=path,
        )
        for row, path in zip(rows, files, strict=True)
        if path is not None
    )
    return Listing(tuple(clips), notes)


def source_in(filename: str) -> str | None:
    """The recording that a clip was cut from, as its file's name says; None for other names.

    >>> source_in("1-100032-A-0.wav")
    '100032'
    """
    found = _FILENAME.match(filename)
    return found[1] if found else None


def _check_values(metadata: Path, rows: list[Row]) -> None:
    problems = [f"{metadata}:{row.line} {problem}" for row in rows for problem in _problems(row)]
    names = Counter(row["filename"] for row in rows)
    problems += [
        f"{metadata}:{row.line} {row['filename']} is named twice" for row in rows if names[row["filename"]] > 1
    ]
    if problems:
        raise FailedError(f"{metadata} has {counted(len(problems), 'wrong value')}", first(problems))


def _problems(row: Row) -> Iterator[str]:
    fold, category = row["fold"], row["category"]
    if not row["filename"]:
        yield "filename is empty"
    if not (fold.isascii() and fold.isdigit() and int(fold) in FOLDS):
        yield f"fold is {fold!r} — expected {FOLDS[0]} to {FOLDS[-1]}"
    if not as_class_name(category):
        yield f"category is {category!r} — expected a class, in Latin letters or digits"


def _files(metadata: Path, audio: Path, rows: list[Row]) -> tuple[list[Path | None], list[str]]:
    """The file of every row, and which rows have none."""
    there = {path.name for path in entries(audio)}
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in there:
        alike[_folded(name)].append(name)
    files: list[Path | None] = []
    absent: list[str] = []
    for row in rows:
        path = audio / row["filename"]
        candidates = alike[_folded(row["filename"])]
        if row["filename"] in there or is_file(path):
            files.append(path)
        elif len(candidates) == 1:
            files.append(audio / candidates[0])
        else:
            several = f" — which is it: {' or '.join(sorted(candidates))}?" if candidates else ""
            absent.append(f"{metadata}:{row.line} {row['filename']}{several}")
            files.append(None)
    _check_one_row_a_file(metadata, rows, files)
    return files, absent


def _check_one_row_a_file(metadata: Path, rows: list[Row], files: list[Path | None]) -> None:
    holders: dict[Path, Row] = {}
    for row, path in zip(rows, files, strict=True):
        other = row if path is None else holders.setdefault(path, row)
        if other is not row:
            raise FailedError(
                f"{metadata}:{row.line} {row['filename']} is the file of line {other.line} too, {other['filename']}: "
                f"{path}"
            )


def _folded(filename: str) -> str:
    """A file name without case, accents in one form: what some file systems hold to be one name."""
    return unicodedata.normalize("NFC", filename).casefold()


ESC50 = Layout(
    name="esc50",
    holds="meta/esc50.csv and audio/",
    recognises=lambda root: is_file(root / _METADATA),
    usual_split=lambda root: "folds",  # noqa: ARG005
    clips=esc50_clips,
)
