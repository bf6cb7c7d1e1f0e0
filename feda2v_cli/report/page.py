"""The page: one HTML file that needs nothing beside itself."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from os.path import commonpath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from feda2v_cli import __version__
from feda2v_cli.report.colours import COLOURS, DARK_COLOURS
from feda2v_cli.report.content import RunContent
from feda2v_cli.report.parts import Chart, Part, Section
from feda2v_cli.report.quantities import time_text
from feda2v_cli.report.sections.classes import accuracy_by_class, confusion
from feda2v_cli.report.sections.embeddings_map import embeddings_map
from feda2v_cli.report.sections.findings import findings
from feda2v_cli.report.sections.learning_curves import learning_curves
from feda2v_cli.report.sections.pictures import pictures
from feda2v_cli.report.sections.quality import attacks, quality
from feda2v_cli.report.sections.result import result
from feda2v_cli.report.sections.side_by_side import side_by_side
from feda2v_cli.report.sections.what_was_run import STATE_WORDS, what_was_run

#: Begins every page, so that a page can be told from a file of somebody else.
HEAD = '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="generator" content="feda2v'

#: What a run's part of the page holds, in order; each is left out where the run has nothing of it.
SECTIONS: tuple[Callable[[RunContent], Section | None], ...] = (
    what_was_run,
    result,
    learning_curves,
    confusion,
    accuracy_by_class,
    embeddings_map,
    quality,
    attacks,
    findings,
    pictures,
)


@dataclass(frozen=True)
class RunPart:
    """A run's part of the page.

    Attributes:
        anchor: what links lead to.
        name: tells it apart from the others.
        state: in a word.
        is_whole: whether it is done.
        sentence: its result.
        sections: what the run has.
        inner: parts of the runs that it has made.
    """

    anchor: str
    name: str
    state: str
    is_whole: bool
    sentence: str
    sections: Sequence[Section]
    inner: "Sequence[RunPart]"


def page(runs: Sequence[RunContent], made: datetime) -> str:
    """The page of some runs.

    Args:
        runs: at least one.
        made: when the page is made.
    """
    named = list(zip(_names(runs), runs, strict=True))
    beside = side_by_side(named)
    parts = [_part(f"run-{number}", name, run) for number, (name, run) in enumerate(named, 1)]
    script, library = _asset("script.js"), _asset("chart.umd.min.js").partition("//# sourceMappingURL")[0]
    style = _colours() + _asset("style.css")
    environment = Environment(
        loader=PackageLoader("feda2v_cli.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template("page.html").render(
        head=Markup(HEAD),
        version=__version__,
        made=time_text(made),
        title=named[0][0] if len(named) == 1 else f"{len(named)} runs",
        runs=parts,
        beside=beside,
        style=Markup(style),
        script=Markup(script),
        library=Markup(library),
        licence=_asset("chart.umd.min.js.LICENSE.md"),
        hashes={"style": _hash(style), "script": [_hash(library), _hash(script)]},
        has_charts=any(_has_charts(part) for part in parts)
        or (beside is not None and any(map(_is_chart, beside.parts))),
    )


def _part(anchor: str, name: str, run: RunContent) -> RunPart:
    return RunPart(
        anchor=anchor,
        name=name,
        state=STATE_WORDS[run.record.state],
        is_whole=run.record.state == "done",
        sentence=run.result.sentence,
        sections=[section for make in SECTIONS if (section := make(run)) is not None],
        inner=[_part(f"{anchor}-{number}", inner.record.name, inner) for number, inner in enumerate(run.inner, 1)],
    )


def _names(runs: Sequence[RunContent]) -> list[str]:
    """A name for each run: its directory's, and more of the path where two are alike."""
    names = [run.record.name for run in runs]
    if len(set(names)) == len(names):
        return names
    paths = [run.record.path.resolve() for run in runs]
    common = commonpath([path.parent for path in paths])
    return [str(path.relative_to(common)) for path in paths]


def _has_charts(part: RunPart) -> bool:
    own = any(_is_chart(one) for section in part.sections for one in section.parts)
    return own or any(map(_has_charts, part.inner))


def _is_chart(part: Part) -> bool:
    return isinstance(part, Chart)


def _colours() -> str:
    light, dark = ("".join(f"--line-{n}:{colour};" for n, colour in enumerate(of)) for of in (COLOURS, DARK_COLOURS))
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _asset(name: str) -> str:
    return (files("feda2v_cli.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a content security policy allows a text by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def now() -> datetime:
    """The time of the machine."""
    return datetime.now(UTC)
