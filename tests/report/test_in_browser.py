"""The page in a real browser, without a network."""

import time
from pathlib import Path

import pytest
from run_samples import (
    CLASSES,
    HOSTILE,
    compared,
    evaluated,
    events_of,
    federated,
    killed,
    pictures,
    trained,
    write_long_history,
)
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from feda2v_cli.report.make import make_report
from feda2v_cli.run.directory import RunDirectory

AXE = Path(__file__).with_name("axe") / "axe.min.js"
#: Where a chart has drawn something: pixels that are not empty.
INKED = """
const canvas = arguments[0].querySelector("canvas");
const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
let inked = 0;
for (let place = 3; place < pixels.length; place += 4) inked += pixels[place] > 0;
return inked;
"""
#: What stands in the tip over a chart.
TIP = """
const tip = Chart.getChart(arguments[0].querySelector("canvas")).tooltip;
return tip.opacity > 0 ? [...tip.title, ...tip.body.flatMap((one) => one.lines)] : [];
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunDirectory]:
    """A run of every kind, one with class names that want to be obeyed."""
    root = tmp_path_factory.mktemp("runs")
    return [trained(root), federated(root, classes=(*CLASSES, HOSTILE)), evaluated(root), compared(root), killed(root)]


@pytest.fixture(scope="module")
def page(runs: list[RunDirectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report([str(run.path) for run in runs], output=tmp_path_factory.mktemp("page") / "all.html").path


@pytest.fixture(scope="module")
def federation(runs: list[RunDirectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report([str(runs[1].path)], output=tmp_path_factory.mktemp("page") / "one.html").path


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn_and_the_page_fits_without_a_complaint_or_a_network(
    browser, page: Path, width: int, scheme: str
) -> None:
    browser.open(page, width=width, scheme=scheme)
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    figures = browser.all("figure.chart")
    assert len(figures) > 15
    for figure in figures:
        browser.draw(figure)
        assert browser.run(INKED, figure) > 1000
    assert browser.run("return document.documentElement.scrollWidth") <= width
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
    assert browser.complaints() == []
    assert browser.requests() == []


def test_pointing_at_a_line_shows_the_value_that_was_recorded(
    browser, federation: Path, runs: list[RunDirectory]
) -> None:
    browser.open(federation)
    figure = browser.chart("Loss: t5")
    point = """
        const chart = Chart.getChart(arguments[0].querySelector("canvas"));
        const place = chart.data.datasets.findIndex((one) => one.label === arguments[1]);
        const at = chart.getDatasetMeta(place).data[arguments[2] - 1];
        return [at.x, at.y];
    """
    recorded = {
        event["round"]: event["node_loss"]["1"]["t5"]
        for event in events_of(runs[1])
        if event["event"] == "federation_round_ended" and event["federation"] == "chosen"
    }
    for number in (1, 7, 20):
        x, y = browser.run(point, figure, "node 1", number)
        canvas = figure.find_element("css selector", "canvas")
        size = canvas.size
        move = ActionChains(browser.driver, duration=0)
        move.move_to_element_with_offset(canvas, round(x - size["width"] / 2), round(y - size["height"] / 2)).perform()
        browser.wait("return Chart.getChart(arguments[0].querySelector('canvas')).tooltip.opacity > 0", figure)
        title, *values = browser.run(TIP, figure)
        assert title == f"round {number}"
        shown = {name: float(value) for name, _, value in (line.rpartition(": ") for line in values)}
        assert shown["node 1"] == pytest.approx(recorded[number], rel=1e-5)


def test_a_line_can_be_switched_off_and_on(browser, federation: Path) -> None:
    browser.open(federation)
    figure = browser.chart("Loss: clip")
    visible = """
        const chart = Chart.getChart(arguments[0].querySelector("canvas"));
        return chart.data.datasets.map((one) => one.label).filter((_, place) => chart.isDatasetVisible(place));
    """
    everything = browser.run(visible, figure)
    inked = browser.run(INKED, figure)
    (label,) = [one for one in figure.find_elements("css selector", "label") if one.text.strip() == "clips held out"]
    label.click()
    assert browser.run(visible, figure) == [name for name in everything if name != "clips held out"]
    assert browser.run(INKED, figure) < inked
    for word, expected in (("none", []), ("all", everything)):
        (button,) = [one for one in figure.find_elements("css selector", "button") if one.text == word]
        button.click()
        assert browser.run(visible, figure) == expected


def test_the_arrow_keys_walk_along_lines_and_read_their_values(browser, federation: Path) -> None:
    browser.open(federation)
    figure = browser.chart("Accuracy on clips held out")
    canvas = figure.find_element("css selector", "canvas")
    told = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.END, Keys.ARROW_DOWN):
        canvas.send_keys(key)
        told.append(browser.run("return arguments[0].querySelector('output').textContent", figure))
    assert told[0].startswith("round 5, all nodes: 0.75")
    assert told[1].startswith("round 10, all nodes: ")
    assert told[2].startswith("round 20, all nodes: ")
    assert told[3].startswith("round 20, baseline central: ")
    assert browser.run(TIP, figure)[0] == "round 20"


def test_a_heading_sorts_by_mouse_and_keyboard_both_ways(browser, page: Path) -> None:
    browser.open(page)
    (table,) = [one for one in browser.all("#side-by-side table") if "keys of the profiles" in one.text]
    headings = {one.text: one for one in table.find_elements("css selector", "th[scope=col]")}
    heading, took = headings["accuracy"], headings["took"]
    column = browser.run("return arguments[0].cellIndex", heading)
    cells = f"return Array.from(arguments[0].tBodies[0].rows, (row) => row.cells[{column}].textContent)"
    heading.find_element("css selector", "button").click()
    assert browser.run(cells, table) == ["0.900", "0.900", "–", "–", "–"]
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.find_element("css selector", "button").send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    assert browser.run(cells, table)[-1] == "–"
    took.find_element("css selector", "button").click()
    assert heading.get_attribute("aria-sort") is None
    column = browser.run("return arguments[0].cellIndex", took)
    cells = f"return Array.from(arguments[0].tBodies[0].rows, (row) => row.cells[{column}].textContent)"
    assert browser.run(cells, table) == ["3.5 s", "4.0 s", "12.5 s", "1 min 0 s", "–"]


def test_a_class_name_that_wants_to_be_obeyed_stays_text(browser, federation: Path) -> None:
    browser.open(federation)
    assert browser.run("return window.obeyed") is None
    assert browser.all("img") == []
    names = browser.run("return Array.from(document.querySelectorAll('.matrix tbody th'), (one) => one.textContent)")
    assert names[-1] == HOSTILE
    assert browser.complaints() == []


def test_even_a_page_that_was_tampered_with_runs_no_script_that_is_not_ours(
    browser, federation: Path, tmp_path: Path
) -> None:
    tampered = tmp_path / "tampered.html"
    tampered.write_text(federation.read_text().replace("<main", f"{HOSTILE}<script>window.obeyed='yes'</script><main"))
    browser.open(tampered)
    browser.chart("Loss: clip")
    assert browser.run("return window.obeyed") is None
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())
    assert browser.requests() == []


def test_without_scripts_the_tables_hold_what_the_charts_would_show(browser, federation: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(federation)
        text = browser.driver.find_element("css selector", "body").text
        assert "charts need scripts; the tables beside them hold their values" in text
        assert "Confusion matrix" in text
        assert "Loss: clip, in figures" in text
        assert not browser.driver.find_element("css selector", ".lines").is_displayed()
        assert browser.driver.find_element("css selector", ".matrix").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_charts_follow_when_the_user_turns_from_light_to_dark(browser, federation: Path) -> None:
    browser.open(federation)
    figure = browser.chart("Loss: clip")
    colour = "return Chart.getChart(arguments[0].querySelector('canvas')).options.scales.x.ticks.color"
    light = browser.run(colour, figure)
    browser.prefer("dark")
    browser.wait(f"{colour} !== arguments[1]", figure, light)


def test_a_link_to_a_run_within_a_run_unfolds_it(browser, page: Path) -> None:
    browser.open(page)
    inner = browser.all("details.run")[0]
    browser.run("location.hash = arguments[0].id", inner)
    browser.wait("return arguments[0].open", inner)


@pytest.fixture(scope="module")
def few(runs: list[RunDirectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything that a page can hold but pictures, once."""
    names = [str(run.path) for run in (runs[1], runs[2], runs[4])]
    return make_report(names, output=tmp_path_factory.mktemp("page") / "few.html").path


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(browser, few: Path, pictured: Path, width: int, scheme: str) -> None:
    for one in (few, pictured):
        browser.open(one, width=width, scheme=scheme)
        browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        browser.run(AXE.read_text(encoding="utf-8"))
        found = browser.driver.execute_async_script(
            "axe.run({resultTypes: ['violations']}).then(arguments[0], (error) => "
            "arguments[0]({violations: [{id: String(error), impact: 'critical', nodes: []}]}));"
        )
        assert [
            (violation["id"], violation["impact"], [node["html"][:200] for node in violation["nodes"][:3]])
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
        ] == []


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with pictures and clips."""
    run = pictures(tmp_path_factory.mktemp("runs"))
    output = tmp_path_factory.mktemp("page") / "pictures.html"
    return make_report([str(run.path)], output=output, with_audio=True).path


def test_pictures_are_seen_and_clips_can_be_played(browser, pictured: Path) -> None:
    browser.open(pictured)
    browser.run("document.querySelectorAll('img').forEach((one) => { one.loading = 'eager'; })")
    browser.wait("return Array.from(document.images).every((one) => one.complete)")
    sizes = browser.run("return Array.from(document.images, (one) => [one.naturalWidth, one.naturalHeight])")
    assert sizes == [[240, 96], [320, 320], [320, 320]] * 2
    browser.run("document.querySelectorAll('audio').forEach((one) => one.load())")
    browser.run("document.querySelectorAll('audio').forEach((one) => { one.preload = 'auto'; })")
    browser.wait("return Array.from(document.querySelectorAll('audio')).every((one) => one.duration > 4.9)")
    assert browser.complaints() == []


def test_a_run_of_ten_thousand_rounds_and_a_hundred_nodes_stays_quick(browser, tmp_path: Path) -> None:
    run = federated(tmp_path, rounds=1, nodes=100, classes=[f"class_{number}" for number in range(50)])
    write_long_history(run.path / "metrics.jsonl", rounds=10_000, nodes=100)
    before = time.process_time()
    made = make_report([str(run.path)], output=tmp_path / "page.html")
    assert time.process_time() - before < 10
    assert made.bytes < 10_000_000

    started = time.monotonic()
    browser.open(made.path)
    figure = browser.chart("Loss: clip")
    assert time.monotonic() - started < 10
    peaks = """
        const {datasets} = Chart.getChart(arguments[0].querySelector("canvas")).data;
        return datasets.map((one) => Math.max(...one.data.map((at) => at.y)));
    """
    assert max(browser.run(peaks, figure)) == 9.75
    (button,) = [one for one in figure.find_elements("css selector", "button") if one.text == "all"]
    button.click()
    # How long the page is busy for one movement of the mouse over a hundred lines.
    milliseconds = browser.run(
        """
        const canvas = arguments[0].querySelector("canvas"), box = canvas.getBoundingClientRect();
        const started = performance.now();
        for (let step = 0; step < 10; step += 1) {
          canvas.dispatchEvent(new MouseEvent("mousemove", {clientX: box.x + 100 + 60 * step, clientY: box.y + 100}));
          Chart.getChart(canvas).draw();
        }
        return (performance.now() - started) / 10;
        """,
        figure,
    )
    assert milliseconds < 1000
