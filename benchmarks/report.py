"""What a page of runs costs, and how it looks. Both need Debian's chromium and chromium-driver, and Selenium.

python benchmarks/report.py growth                     10,000 rounds of 100 nodes: time, size, and how quick the page is
python benchmarks/report.py picture RUN docs/report.png   the picture in the README, of a run of `feda2v compare`
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from feda2v_cli.report.make import make_report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "samples"))
from run_samples import federated, write_long_history

#: Of the picture: a window on a screen, and a phone.
DESK, PHONE, GAP = (960, 1330), (390, 1330), 24
SCALE = 1.5
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> None:
    arguments = _arguments()
    if arguments.what == "growth":
        growth(arguments.rounds, arguments.nodes)
    else:
        picture(arguments.run, arguments.output)


def growth(rounds: int, nodes: int) -> None:
    with tempfile.TemporaryDirectory() as directory, browser() as driver:
        run = federated(Path(directory) / "runs", rounds=1, nodes=nodes)
        write_long_history(run.path / "metrics.jsonl", rounds=rounds, nodes=nodes)
        events = (run.path / "metrics.jsonl").stat().st_size
        started, used = time.monotonic(), time.process_time()
        made = make_report([str(run.path)], output=Path(directory) / "report.html")
        print(f"{rounds} rounds of {nodes} nodes, {events / 1e6:.0f} MB of events")
        print(f"page    {made.bytes / 1e6:.1f} MB in {time.monotonic() - started:.1f} s, of the processor "
              f"{time.process_time() - used:.1f} s")  # fmt: skip
        _size(driver, *DESK)
        started = time.monotonic()
        driver.get(made.path.as_uri())
        driver.execute_script("document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1)")
        print(f"opened  {time.monotonic() - started:.2f} s, its first chart drawn")
        for figure in driver.find_elements("css selector", "figure.chart"):
            milliseconds = driver.execute_async_script(
                """
                const [figure, done] = arguments, canvas = figure.querySelector("canvas");
                figure.scrollIntoView({block: "center"});
                const drawn = () => {
                  const chart = Chart.getChart(canvas);
                  if (!chart) return requestAnimationFrame(drawn);
                  figure.querySelector("[data-show=all]").click();
                  const all = performance.now();
                  const box = canvas.getBoundingClientRect();
                  for (let step = 0; step < 10; step += 1) {
                    const at = {clientX: box.x + 100 + 40 * step, clientY: box.y + 100};
                    canvas.dispatchEvent(new MouseEvent("mousemove", at));
                    chart.draw();
                    canvas.getContext("2d").getImageData(0, 0, 1, 1);  // waits until it is drawn
                  }
                  return done((performance.now() - all) / 10);
                };
                drawn();
                """,
                figure,
            )
            title = figure.find_element("css selector", "figcaption").text
            print(f"{title:28}  a movement of the mouse over all lines {milliseconds:.0f} ms")


def picture(run: str, output: Path) -> None:
    with tempfile.TemporaryDirectory() as directory, browser() as driver:
        page = make_report([run], output=Path(directory) / "report.html").path
        desk = _shot(driver, page, DESK, "light", "Result")
        phone = _shot(driver, page, PHONE, "dark", "Map of embeddings")
    gap = round(GAP * SCALE)
    both = Image.new("RGB", (desk.width + gap + phone.width, desk.height), "white")
    both.paste(desk, (0, 0))
    both.paste(phone, (desk.width + gap, 0))
    both.quantize(256).save(output, optimize=True)
    print(f"{output}: {output.stat().st_size / 1000:.0f} kB")


def _shot(driver: Chrome, page: Path, size: tuple[int, int], scheme: str, heading: str) -> Image.Image:
    """A page from a heading on."""
    _size(driver, *size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.get(page.as_uri())
    place = f"//h2[text()='{heading}']"
    driver.execute_script("arguments[0].scrollIntoView(); scrollBy(0, -12)", driver.find_element("xpath", place))
    time.sleep(2)  # until the charts are drawn
    driver.execute_script("arguments[0].scrollIntoView(); scrollBy(0, -12)", driver.find_element("xpath", place))
    time.sleep(1)
    return Image.open(BytesIO(driver.get_screenshot_as_png())).convert("RGB")


def _size(driver: Chrome, width: int, height: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": SCALE, "mobile": width < 500},
    )


@contextmanager
def browser() -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise SystemExit("no browser here: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        opened = Chrome(options=options, service=Service(driver))
        try:
            yield opened
        finally:
            opened.quit()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    growing = commands.add_parser("growth")
    growing.add_argument("--rounds", type=int, default=10_000)
    growing.add_argument("--nodes", type=int, default=100)
    drawing = commands.add_parser("picture")
    drawing.add_argument("run")
    drawing.add_argument("output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
