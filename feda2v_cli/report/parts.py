"""What a page is made of: sections, and in them texts, tables, charts, a matrix and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from feda2v_cli.report.colours import COLOURS

#: Longer tables are folded.
MOST_ROWS_UNFOLDED = 25
#: Of a number that a reader can point at.
_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: what it says.
        is_warning: whether it is about something that may be wrong.
        is_main: whether it is what most readers look for.
        command: to be typed, behind it.
    """

    kind: ClassVar = "text"
    text: str
    is_warning: bool = False
    is_main: bool = False
    command: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    kind: ClassVar = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Span:
    """A value with its interval, drawn from 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it shows.
        order: what the rows are sorted by; None stands last.
        span: drawn behind the text.
    """

    text: str
    order: float | str | None = None
    span: Span | None = None


@dataclass(frozen=True)
class Table:
    """A table whose rows can be sorted by any column; the first column names the row.

    Attributes:
        caption: what it holds.
        headings: of the columns.
        rows: cells, or plain text.
        figures: whether each column holds figures, which stand to the right.
        folded: whether it is only opened when it is asked for; None when it is long.
    """

    kind: ClassVar = "table"
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    figures: Sequence[bool]
    folded: bool | None = None

    @property
    def is_folded(self) -> bool:
        """Whether it is only opened when it is asked for."""
        return len(self.rows) > MOST_ROWS_UNFOLDED if self.folded is None else self.folded


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix.

    Attributes:
        names: of the classes.
        counts: clips by class and by the class that was retrieved.
    """

    kind: ClassVar = "matrix"
    names: Sequence[str]
    counts: Sequence[Sequence[int]]

    def share(self, row: int, column: int) -> float:
        """Of the clips of a class."""
        return self.counts[row][column] / (sum(self.counts[row]) or 1)


@dataclass(frozen=True)
class Line:
    """A line of a chart, or a cloud of points of one look.

    Attributes:
        name: of it.
        x: ascending for a line.
        y: as many.
        look: tells lines apart: of the colour, and beyond the colours of dash or shape.
        is_main: drawn thick.
        is_shown: whether it is there before the reader switches it.
        is_hollow: points without filling.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    look: int
    is_main: bool = False
    is_shown: bool = True
    is_hollow: bool = False

    @property
    def colour(self) -> int:
        """Which of the colours."""
        return self.look % len(COLOURS)

    @property
    def shape(self) -> int:
        """Which dash or shape."""
        return self.look // len(COLOURS)


@dataclass(frozen=True)
class Chart:
    """Lines over rounds, or points on a plane.

    Attributes:
        title: what it shows.
        alternative: the same for those who do not see it.
        x: what the horizontal axis is; empty for an axis that means nothing.
        y: what the vertical axis is.
        lines: at least one.
        form: lines over x, or points on a plane.
        remark: what a reader has to know.
    """

    kind: ClassVar = "chart"
    title: str
    alternative: str
    x: str
    y: str
    lines: Sequence[Line]
    form: Literal["line", "scatter"] = "line"
    remark: str = ""

    @property
    def data(self) -> dict[str, object]:
        """What the page's script draws."""
        return {
            "form": self.form,
            "x": self.x,
            "y": self.y,
            "lines": [
                {
                    "name": line.name,
                    "x": list(line.x),
                    "y": [rounded(value) for value in line.y],
                    "colour": line.colour,
                    "shape": line.shape,
                    "main": line.is_main,
                    "shown": line.is_shown,
                    "hollow": line.is_hollow,
                }
                for line in self.lines
            ],
        }


@dataclass(frozen=True)
class Picture:
    """A picture with what it was made from.

    Attributes:
        caption: in words.
        image: data URI; empty when the file cannot be read.
        spectrogram: of the clip, data URI; empty when there is none.
        sound: the clip, data URI; empty when there is none.
        problem: why something is not there.
    """

    caption: str
    image: str
    spectrogram: str = ""
    sound: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Sheet:
    """Pictures by class."""

    kind: ClassVar = "sheet"
    rows: Sequence[tuple[str, Sequence[Picture]]]


Part = Text | Facts | Table | Matrix | Chart | Sheet


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    parts: Sequence[Part] = field(default_factory=tuple)


def rounded(value: float) -> float:
    """A number with the digits that are shown."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")


def shown(value: float | None, digits: int = 3) -> str:
    """A figure for people: large ones without a fraction, and a sign for one that is not there."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}f}"


def number_cell(value: float | None, digits: int = 3) -> Cell:
    """A cell with a figure."""
    return Cell(shown(value, digits), value)


def name_cell(text: str) -> Cell:
    """A cell with a word."""
    return Cell(text, text)
