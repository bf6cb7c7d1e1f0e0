"""A test that is skipped for want of a package fails where `CI` is set: there the test extra has installed them all.

Skips for other reasons, such as hardware or rights that a machine does not have, stay skips.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    return _judged(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    return _judged(report)


def _judged(report: Report) -> Report:
    """The report, failed when `pytest.importorskip` skipped what it is about."""
    if os.environ.get("CI") and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "could not import" in reason:
            report.outcome = "failed"
            report.longrepr = f"{reason} — the test extra of pyproject.toml must name what tests need"
    return report
