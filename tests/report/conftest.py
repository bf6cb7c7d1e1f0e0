"""A real browser without a network: Debian's Chromium, driven by Selenium."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
SECONDS_TO_WAIT = 90


@dataclass
class Browser:
    """What tests ask of a browser."""

    driver: Chrome

    def open(self, page: Path, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Open a page in a window of some size, for somebody who prefers light or dark."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        self.prefer(scheme)
        self.driver.get(page.as_uri())

    def prefer(self, scheme: str) -> None:
        """Change what the user prefers: light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a function's body in the page."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """Elements of the page."""
        return self.driver.find_elements("css selector", selector)

    def chart(self, title: str) -> WebElement:
        """The drawn figure with this title."""
        (figure,) = [one for one in self.all("figure.chart") if title in one.text.splitlines()[:1]]
        self.draw(figure)
        return figure

    def draw(self, figure: WebElement) -> None:
        """Scroll to a chart and wait until it is drawn."""
        self.run("arguments[0].scrollIntoView({block: 'center'})", figure)
        self.wait("return Chart.getChart(arguments[0].querySelector('canvas')) !== undefined", figure)

    def wait(self, script: str, *arguments: Any) -> None:
        """Wait until a function's body gives something true."""
        WebDriverWait(self.driver, SECONDS_TO_WAIT, poll_frequency=0.05).until(lambda _: self.run(script, *arguments))

    def complaints(self) -> list[str]:
        """What the console says that is no chatter; asked twice, it is told once."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def requests(self) -> list[str]:
        """Addresses that the page asked for, except itself."""
        told = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [one["params"]["request"]["url"] for one in told if one["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A Chromium of its own."""
    if CHROMIUM is None or DRIVER is None:
        reason = "no chromium and chromedriver here: apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(SECONDS_TO_WAIT)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Chrome) -> Browser:
    """The Chromium, with nothing to complain of yet."""
    made = Browser(chromium)
    made.driver.get("about:blank")
    made.complaints()
    made.requests()
    return made
