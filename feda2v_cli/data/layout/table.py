"""CSV files as tables of text, in which every row knows its line and what does not fit is told with it."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from feda2v_cli.counted import counted
from feda2v_cli.data.layout.layout import first
from feda2v_cli.errors import FailedError, MissingError, closest


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        line: of the file, from 1.
        values: by column, without blanks around them.
    """

    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


def read_table(
    path: Path,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    *,
    has_header: bool = True,
    hint: str | None = None,
) -> list[Row]:
    """The rows of a table, with some of its columns; the others are not read.

    Args:
        path: the file, in UTF-8.
        needed: columns that must be there; without a header, all columns in their order.
        optional: columns that may be there; rows lack those that are not.
        has_header: whether the first row names the columns.
        hint: for the error when a column is missing.

    Raises:
        MissingError: the file cannot be read.
        FailedError: it is empty, is no CSV, lacks columns, or has rows of another length than the first.
    """
    lines = read_rows(path, _columns_check(path, needed, hint) if has_header else None)
    if has_header:
        header = lines[0][1] if lines else []
        if not header:
            _columns_check(path, needed, hint)(header)
        places = {column: header.index(column) for column in (*needed, *optional) if column in header}
        lines = lines[1:]
    else:
        places = {column: place for place, column in enumerate(needed)}
    if not lines:
        raise FailedError(f"{path} is empty — it names no clips")
    return [Row(line, {column: values[place].strip() for column, place in places.items()}) for line, values in lines]


def read_rows(path: Path, check: Callable[[Sequence[str]], None] | None = None) -> list[tuple[int, list[str]]]:
    """Line and fields of every row, all of one length; empty lines are none.

    Args:
        path: the file, in UTF-8.
        check: looks at the first row before the others are read.

    Raises:
        MissingError: the file cannot be read.
        FailedError: it is no CSV, or has rows of another length than the first.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(path, file, check))
    except UnicodeDecodeError as error:
        raise FailedError(f"{path} is no CSV file in UTF-8 — {error}") from error
    except OSError as error:
        raise MissingError(f"{path} cannot be read — {error.strerror}") from error


def columns_of(path: Path) -> list[str]:
    """The first row of a CSV file; empty when there is none, or the file cannot be read as one."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(islice(file, 1)), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _rows(
    path: Path, text: Iterator[str], check: Callable[[Sequence[str]], None] | None
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, strict=True)
    fields = 0
    problems: list[str] = []
    line = 1
    try:
        for values in reader:
            start, line = line, reader.line_num + 1
            if reader.line_num > start:
                problems.append(f"{path}:{start} a quoted field goes on to line {reader.line_num}: a quote too many?")
            elif not values:
                continue
            elif not fields:
                fields = len(values)
                if check is not None:
                    check(values)
                yield start, values
            elif len(values) != fields:
                what = "the header" if check is not None else "the first row"
                problems.append(f"{path}:{start} has {counted(len(values), 'field')}, {what} has {fields}")
            else:
                yield start, values
    except csv.Error as error:
        problems.append(f"{path}:{line} is no CSV — {error}")
    if problems:
        lines = f"{counted(len(problems), 'line')} that {'does' if len(problems) == 1 else 'do'} not fit"
        raise FailedError(
            f"{path} has {lines} its {'header' if check is not None else 'first row'}",
            first(problems),
            hint='a field with a comma stands in quotes: "a, b"',
        )


def _columns_check(path: Path, needed: Sequence[str], hint: str | None) -> Callable[[Sequence[str]], None]:
    def check(columns: Sequence[str]) -> None:
        twice = [column for column in needed if columns.count(column) > 1]
        if twice:
            raise FailedError(f"{path}:1 names the column {twice[0]} twice")
        missing = [column for column in needed if column not in columns]
        if not columns:
            raise FailedError(f"{path} is empty — expected columns {', '.join(needed)}")
        if missing:
            alike = [(column, closest(column, columns)) for column in missing]
            raise FailedError(
                f"{path}:1 lacks {'column' if len(missing) == 1 else 'columns'} {', '.join(missing)}",
                [
                    f"it has {', '.join(columns)}",
                    *(f"is {near} meant to be {column}?" for column, near in alike if near),
                ],
                hint=hint,
            )

    return check
