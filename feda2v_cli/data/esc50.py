"""The official layout of ESC-50: `meta/esc50.csv` says class and fold of every file in `audio/`.

Piczak, "ESC: Dataset for Environmental Sound Classification" (2015), https://github.com/karolpiczak/ESC-50.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.data.clip import FileClip
from feda2v_cli.errors import FailedError, MissingError, closest

FOLDS = range(1, 6)
_NEEDED_COLUMNS = ("filename", "fold", "category")
_SHOWN = 5


@dataclass(frozen=True)
class _Row:
    line: int
    filename: str
    fold: str
    category: str


def esc50_clips(root: Path) -> tuple[FileClip, ...]:
    """All clips that `meta/esc50.csv` names. Reads no audio: it looks only whether the files are there.

    Columns other than filename, fold and category may be there, and are not read.

    Args:
        root: the directory that holds `meta` and `audio`.

    Raises:
        MissingError: the root, the metadata, the audio directory, or files that the metadata names are not there.
        FailedError: the metadata is empty, lacks columns, or holds wrong values; with line numbers.
    """
    if not root.is_dir():
        raise _no_root(root)
    metadata, audio = root / "meta" / "esc50.csv", root / "audio"
    for path, holds in ((metadata, metadata.is_file()), (audio, audio.is_dir())):
        if not holds:
            raise MissingError(
                f"{path} is not there",
                [f"{root} holds {_listing(root)}", "expected the official layout: meta/esc50.csv and audio/*.wav"],
                hint="--data-root is the directory that holds meta and audio",
            )
    rows = _rows(metadata)
    _check_values(metadata, rows)
    _check_files(metadata, audio, rows)
    return tuple(
        FileClip(row.filename, class_name(row.category), int(row.fold), path=audio / row.filename) for row in rows
    )


def class_name(category: str) -> str:
    """A category as a class name: lower case, words joined by underscores.

    >>> class_name("Sea waves")
    'sea_waves'
    """
    return "_".join(re.findall(r"[a-z0-9]+", category.lower()))


def _no_root(root: Path) -> MissingError:
    if root.exists():
        return MissingError(f"data.root {root} is a file — expected the directory that holds meta and audio")
    siblings = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    near = closest(root.name, siblings)
    return MissingError(
        f"data.root {root} is not there",
        [f"did you mean {root.parent / near}?"] if near else [],
        hint="--data-root DIR takes the directory that holds meta/esc50.csv; without it the built-in sounds are used",
    )


def _rows(metadata: Path) -> list[_Row]:
    try:
        with metadata.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_columns(metadata, reader.fieldnames or [])
            rows = [_row(reader.line_num, values) for values in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FailedError(f"{metadata} is no CSV file in UTF-8 — {error}") from error
    except OSError as error:
        raise MissingError(f"{metadata} cannot be read — {error.strerror}") from error
    if not rows:
        raise FailedError(f"{metadata} is empty — it names no clips")
    return rows


def _row(line: int, values: Mapping[str, str | None]) -> _Row:
    return _Row(line, *((values[column] or "").strip() for column in _NEEDED_COLUMNS))


def _check_columns(metadata: Path, columns: Sequence[str]) -> None:
    missing = [column for column in _NEEDED_COLUMNS if column not in columns]
    if not columns:
        raise FailedError(f"{metadata} is empty — expected columns {', '.join(_NEEDED_COLUMNS)}")
    if missing:
        alike = [(column, closest(column, columns)) for column in missing]
        raise FailedError(
            f"{metadata}:1 lacks {'column' if len(missing) == 1 else 'columns'} {', '.join(missing)}",
            [
                f"it has {', '.join(columns)}",
                *(f"is {near} meant to be {column}?" for column, near in alike if near),
            ],
            hint="the official header is filename,fold,target,category,esc10,src_file,take",
        )


def _check_values(metadata: Path, rows: list[_Row]) -> None:
    problems = [f"{metadata}:{row.line} {problem}" for row in rows for problem in _problems(row)]
    names = Counter(row.filename for row in rows)
    problems += [f"{metadata}:{row.line} {row.filename} is named twice" for row in rows if names[row.filename] > 1]
    if problems:
        count = "1 wrong value" if len(problems) == 1 else f"{len(problems)} wrong values"
        raise FailedError(f"{metadata} has {count}", _first(problems))


def _problems(row: _Row) -> Iterator[str]:
    if not row.filename:
        yield "filename is empty"
    if not (row.fold.isascii() and row.fold.isdigit() and int(row.fold) in FOLDS):
        yield f"fold is {row.fold!r} — expected {FOLDS[0]} to {FOLDS[-1]}"
    if not class_name(row.category):
        yield f"category is {row.category!r} — expected a class"


def _check_files(metadata: Path, audio: Path, rows: list[_Row]) -> None:
    there = {path.name for path in audio.iterdir()}
    absent = [row for row in rows if row.filename not in there and not (audio / row.filename).is_file()]
    if absent:
        raise MissingError(
            f"{audio} lacks {len(absent)} of the {len(rows)} files that {metadata} names",
            _first([f"{metadata}:{row.line} {row.filename}" for row in absent]),
            hint="complete the download, or remove those rows",
        )


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def _listing(directory: Path) -> str:
    names = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") if names else "nothing"
