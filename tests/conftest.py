# SPDX-License-Identifier: BSD-2-Clause
"""Skips are counted at the end of a run; VMMGR_NO_SKIP=1 makes failures of the avoidable ones.

No example of a property test has a time limit: a busy host would decide what passes.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings
from support.needs import IMPOSSIBLE

STRICT = os.environ.get("VMMGR_NO_SKIP") == "1"

settings.register_profile("any host", deadline=None)
settings.load_profile("any host")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a failure of a skip that an installed package would have avoided."""
    report = yield
    if STRICT and _avoidable(report):
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}\nVMMGR_NO_SKIP=1: an avoidable skip is a failure"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and how many of them need not have been."""
    skipped = terminalreporter.getreports("skipped")
    avoidable = sum(map(_avoidable, skipped))
    terminalreporter.write_line(f"{len(skipped)} skipped, {avoidable} of them avoidable")


def _avoidable(report: pytest.TestReport) -> bool:
    return report.skipped and not hasattr(report, "wasxfail") and IMPOSSIBLE not in _reason(report)


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped; pytest keeps it behind the place."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
