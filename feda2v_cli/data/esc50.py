"""The official layout of ESC-50: `meta/esc50.csv` says class and fold of every file in `audio/`.

Piczak, "ESC: Dataset for Environmental Sound Classification" (2015), https://github.com/karolpiczak/ESC-50.
"""

import csv
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from feda2v_cli.data.clip import FileClip
from feda2v_cli.errors import FailedError, MissingError, closest
from feda2v_cli.paths import entries, is_directory, is_file, is_there
from feda2v_cli.profile.schema import as_class_name

FOLDS = range(1, 6)
_NEEDED_COLUMNS = ("filename", "fold", "category")
_SHOWN = 5


@dataclass(frozen=True)
class _Row:
    line: int
    filename: str
    fold: str
    category: str

    @property
    def class_name(self) -> str:
        return as_class_name(self.category) or ""


def esc50_clips(root: Path) -> tuple[FileClip, ...]:
    """All clips that `meta/esc50.csv` names. Reads no audio: it looks only whether the files are there.

    Columns other than filename, fold and category may be there, and are not read. A file whose name differs from the
    metadata's only in case, or in how its accents are written, is found when no other does.

    Args:
        root: the directory that holds `meta` and `audio`.

    Raises:
        MissingError: the root, the metadata, the audio directory, or files that the metadata names are not there.
        FailedError: the metadata is empty, lacks columns, holds wrong values or rows that do not fit the header, or two
            categories that would become one class; with line numbers.
    """
    if not is_directory(root):
        raise _no_root(root)
    metadata, audio = root / "meta" / "esc50.csv", root / "audio"
    for path, holds in ((metadata, is_file(metadata)), (audio, is_directory(audio))):
        if not holds:
            raise MissingError(
                f"{path} is not there",
                [f"{root} holds {_listing(root)}", "expected the official layout: meta/esc50.csv and audio/*.wav"],
                hint="--data-root is the directory that holds meta and audio",
            )
    rows = _rows(metadata)
    _check_values(metadata, rows)
    _check_classes(metadata, rows)
    files = _files(metadata, audio, rows)
    return tuple(
        FileClip(row.filename, row.class_name, int(row.fold), path=path) for row, path in zip(rows, files, strict=True)
    )


def _no_root(root: Path) -> MissingError:
    if is_there(root):
        return MissingError(f"data.root {root} is a file — expected the directory that holds meta and audio")
    siblings = [path.name for path in entries(root.parent) if path.is_dir()] if is_directory(root.parent) else []
    near = closest(root.name, siblings)
    return MissingError(
        f"data.root {root} is not there",
        [f"did you mean {root.parent / near}?"] if near else [],
        hint="--data-root DIR takes the directory that holds meta/esc50.csv; without it the built-in sounds are used",
    )


def _rows(metadata: Path) -> list[_Row]:
    try:
        with metadata.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_read(metadata, file))
    except UnicodeDecodeError as error:
        raise FailedError(f"{metadata} is no CSV file in UTF-8 — {error}") from error
    except OSError as error:
        raise MissingError(f"{metadata} cannot be read — {error.strerror}") from error
    if not rows:
        raise FailedError(f"{metadata} is empty — it names no clips")
    return rows


def _read(metadata: Path, text: Iterable[str]) -> Iterator[_Row]:
    """The rows below the header, each with its line."""
    reader = csv.reader(text, strict=True)
    header: list[str] = []
    problems: list[str] = []
    line = 1
    try:
        for values in reader:
            first, line = line, reader.line_num + 1
            if reader.line_num > first:
                problems.append(
                    f"{metadata}:{first} a quoted field goes on to line {reader.line_num}: a quote too many?"
                )
            elif not values:
                continue
            elif not header:
                header = values
                _check_columns(metadata, header)
            elif len(values) != len(header):
                problems.append(f"{metadata}:{first} has {_fields(len(values))}, the header has {len(header)}")
            else:
                named = dict(zip(header, values, strict=True))
                yield _Row(first, *(named[column].strip() for column in _NEEDED_COLUMNS))
    except csv.Error as error:
        problems.append(f"{metadata}:{line} is no CSV — {error}")
    if problems:
        count = "1 line that does" if len(problems) == 1 else f"{len(problems)} lines that do"
        raise FailedError(
            f"{metadata} has {count} not fit its header",
            _first(problems),
            hint='a field with a comma stands in quotes: "a, b"',
        )
    if not header:
        _check_columns(metadata, header)


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _check_columns(metadata: Path, columns: Sequence[str]) -> None:
    twice = [column for column in _NEEDED_COLUMNS if columns.count(column) > 1]
    if twice:
        raise FailedError(f"{metadata}:1 names the column {twice[0]} twice")
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
    if not row.class_name:
        yield f"category is {row.category!r} — expected a class, in Latin letters or digits"


def _check_classes(metadata: Path, rows: list[_Row]) -> None:
    """Refuse categories that would become one class."""
    categories: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        categories[row.class_name].setdefault(row.category, row.line)
    problems = [
        f"{' and '.join(f'{category!r} (line {line})' for category, line in lines.items())} would become {name}"
        for name, lines in categories.items()
        if len(lines) > 1
    ]
    if problems:
        raise FailedError(
            f"{metadata} has categories that become one class",
            _first(problems),
            hint="name them so that they differ in more than case, accents and signs",
        )


def _files(metadata: Path, audio: Path, rows: list[_Row]) -> list[Path]:
    """The file of every row."""
    there = {path.name for path in entries(audio)}
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in there:
        alike[_folded(name)].append(name)
    files: list[Path] = []
    absent: list[str] = []
    for row in rows:
        path = audio / row.filename
        candidates = alike[_folded(row.filename)]
        if row.filename in there or is_file(path):
            files.append(path)
        elif len(candidates) == 1:
            files.append(audio / candidates[0])
        else:
            several = f" — which is it: {' or '.join(sorted(candidates))}?" if candidates else ""
            absent.append(f"{metadata}:{row.line} {row.filename}{several}")
    if absent:
        raise MissingError(
            f"{audio} lacks {len(absent)} of the {len(rows)} files that {metadata} names",
            _first(absent),
            hint="complete the download, or remove those rows",
        )
    _check_one_row_a_file(metadata, rows, files)
    return files


def _check_one_row_a_file(metadata: Path, rows: list[_Row], files: list[Path]) -> None:
    first: dict[Path, _Row] = {}
    for row, path in zip(rows, files, strict=True):
        other = first.setdefault(path, row)
        if other is not row:
            raise FailedError(
                f"{metadata}:{row.line} {row.filename} is the file of line {other.line} too, {other.filename}: {path}"
            )


def _folded(filename: str) -> str:
    """A file name without case, accents in one form: what some file systems hold to be one name."""
    return unicodedata.normalize("NFC", filename).casefold()


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return lines[:_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def _listing(directory: Path) -> str:
    names = sorted(path.name for path in entries(directory) if not path.name.startswith("."))
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") if names else "nothing"
