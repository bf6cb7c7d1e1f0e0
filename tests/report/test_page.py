import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from run_samples import CLASSES, HOSTILE, compared, evaluated, federated, killed, started, trained

from feda2v_cli.report.content import RunContent
from feda2v_cli.report.page import SECTIONS, page
from feda2v_cli.run.directory import RunDirectory
from feda2v_cli.run.record import RunRecord


def text_of(*runs: RunDirectory, with_audio: bool = False) -> str:
    contents = [RunContent.of(RunRecord.read(run.path), with_audio=with_audio) for run in runs]
    return page(contents, datetime(2026, 11, 26, tzinfo=UTC))


class Outline(HTMLParser):
    """Headings in order, tags that are open at the end, and addresses of everything that a browser would fetch."""

    VOID = ("meta", "img", "input", "br", "link", "source")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[tuple[int, str]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action", "srcset")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings.append((int(self.open[-1][1]), data.strip()))


def headings(text: str) -> list[str]:
    return [heading for level, heading in Outline(text).headings if level == 2]


def test_a_run_s_sections_stand_in_order_and_only_those_that_it_has(tmp_path: Path) -> None:
    assert headings(text_of(federated(tmp_path))) == [
        "What was run", "Result", "Learning curves", "Confusion matrix", "Accuracy by class", "Findings",
    ]  # fmt: skip
    audit = {"attacks": {"residual": {"auc": 0.6, "found": 0.02}}}
    assert headings(text_of(evaluated(tmp_path, audit=audit))) == [
        "What was run", "Result", "Map of embeddings", "Quality of the generators", "What an attack finds",
    ]  # fmt: skip
    assert headings(text_of(trained(tmp_path))) == [
        "What was run", "Result", "Learning curves", "Quality of the generators",
    ]  # fmt: skip
    assert headings(text_of(compared(tmp_path))) == [
        "What was run", "Result", "Learning curves", "Accuracy by class", "Map of embeddings", "Runs within this run",
    ]  # fmt: skip


def test_of_a_comparison_there_is_a_line_and_a_map_for_each_of_its_runs(tmp_path: Path) -> None:
    text = text_of(compared(tmp_path))
    own = text[: text.index("Runs within this run")]
    assert re.findall("<figcaption>(.*?)</figcaption>", own) == [
        "Loss: clip",
        "Loss: t5",
        "Accuracy on clips held out",
        "Clips and samples: unified",
        "Clips and samples: per_class",
    ]
    chart = json.loads(re.findall('<script type="application/json">(.*?)</script>', own)[0])
    assert [line["name"] for line in chart["lines"]] == ["per_class", "unified"]


def test_several_runs_have_a_part_each_and_stand_side_by_side_at_the_end(tmp_path: Path) -> None:
    runs = [federated(tmp_path, settings=["federation.rounds=9"]), federated(tmp_path), evaluated(tmp_path)]
    text = text_of(*runs)
    assert [heading.split()[0] for heading in headings(text)] == [*(run.path.name for run in runs), "Runs"]
    beside = text[text.index('id="side-by-side"') :]
    assert "federation.rounds" in beside
    assert "generator.latent" not in beside
    assert beside.count("<tr>") == 1 + 3 + 1 + 2  # of the runs, and of the two that have an accuracy


def test_headings_skip_no_level_and_everything_is_closed(tmp_path: Path) -> None:
    text = text_of(compared(tmp_path), federated(tmp_path))
    outline = Outline(text)
    levels = [level for level, _ in outline.headings]
    assert levels[0] == 1
    assert all(later <= before + 1 for before, later in pairwise(levels))
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))


def test_nothing_is_fetched_from_anywhere(tmp_path: Path) -> None:
    text = text_of(compared(tmp_path), federated(tmp_path))
    assert [address for address in Outline(text).addresses if not address.startswith(("#", "data:"))] == []
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', unescape(text))
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert "sourceMappingURL" not in text


def test_a_page_without_pictures_stays_small(tmp_path: Path) -> None:
    runs = [federated(tmp_path, rounds=100, nodes=20) for _ in range(2)]
    assert len(text_of(*runs, compared(tmp_path))) < 3_000_000


def test_text_of_users_stays_text_wherever_it_stands(tmp_path: Path) -> None:
    classes = (*CLASSES[:2], HOSTILE, "</script><script>window.obeyed='yes'</script>")
    run = federated(tmp_path, classes=classes)
    summary = json.loads((run.path / "summary.json").read_text()) | {"strategy": HOSTILE}
    (run.path / "summary.json").write_text(json.dumps(summary))
    info = json.loads((run.path / "run.json").read_text())
    info |= {"command": ["feda2v", HOSTILE], "commit": HOSTILE, "versions": {HOSTILE: HOSTILE}, "platform": HOSTILE}
    (run.path / "run.json").write_text(json.dumps(info))
    with (run.path / "metrics.jsonl").open("a") as metrics:
        for event in (
            {"event": "warned", "text": HOSTILE},
            {"event": "round_ended", "round": 1, "rounds": 1, "losses": {HOSTILE: {HOSTILE: 1.0}}},
            {"event": "round_ended", "round": 2, "rounds": 2, "losses": {HOSTILE: {HOSTILE: 1.0}}},
            dict.fromkeys(("code", "severity", "path", "message", "hint"), HOSTILE) | {"event": "found"},
        ):
            metrics.write(json.dumps(event) + "\n")
    (run.path / "resolved.toml").write_text(f"[experiment]\nname = {json.dumps(HOSTILE)} # {HOSTILE}\n")
    renamed = run.path.rename(run.path.with_name(HOSTILE.replace("/", "")))
    text = text_of(RunDirectory(renamed), evaluated(tmp_path, classes=classes, audit={HOSTILE: {HOSTILE: HOSTILE}}))
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2 + text.count('<script type="application/json">')
    assert "&lt;img src=x" in text
    assert Outline(text).open == []


@pytest.mark.parametrize("make", [killed, started])
def test_a_run_that_has_not_ended_gives_what_there_is_and_says_so(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    run = killed(tmp_path) if make is killed else started(tmp_path, "federate")
    text = text_of(run)
    assert "The run was killed" in text
    assert ("Loss: clip" in text) == (make is killed)
    assert ("Skipped 1 damaged line of metrics.jsonl" in text) == (make is killed)


def test_a_damaged_run_has_a_page(tmp_path: Path) -> None:
    run = federated(tmp_path)
    for name in ("run.json", "summary.json", "resolved.toml"):
        (run.path / name).write_text("{")
    assert headings(text_of(run)) == ["What was run", "Result", "Learning curves", "Findings"]


@pytest.mark.parametrize("make", [trained, federated, evaluated, compared])
def test_whatever_a_summary_holds_there_is_a_page(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    run = make(tmp_path)
    content = RunContent.of(RunRecord.read(run.path), with_audio=False)
    names = [*content.record.summary, "audit", "table", "map", "overall", "per_class", "checkpoints", "confusion"]
    for name in names:
        for value in (None, [], {}, "x", [1], [[1]], [[-1]], {"a": 1}, {"a": {}}, {"a": {"value": "x"}}, 7, True):
            (run.path / "summary.json").write_text(json.dumps(content.record.summary | {name: value}))
            changed = replace(content, record=RunRecord.read(run.path))
            for section in SECTIONS:
                section(changed)


def test_only_some_of_many_lines_are_shown_at_first_and_the_rest_is_told(tmp_path: Path) -> None:
    text = text_of(federated(tmp_path, nodes=40))
    assert "Of 45 lines those are shown that end lowest and highest" in text


def test_a_matrix_of_too_many_classes_is_told_by_its_largest_parts(tmp_path: Path) -> None:
    text = text_of(federated(tmp_path, classes=[f"class_{number}" for number in range(70)]))
    assert "The matrix of 70 classes is too large" in text
    assert '<table class="matrix"' not in text
