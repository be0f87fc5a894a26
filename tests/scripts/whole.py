# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin of ``run-tests``: a run that left something out has failed.

``--needs quick`` and ``--needs guest`` name the parts of which tests must have run; a skipped test is a
failure anywhere. The parts are summed up above pytest's own last line.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

PARTS = ("quick", "guest")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--needs``."""
    parser.addoption("--needs", action="append", choices=PARTS, default=[], help="a part that must run")


class _ByCampaign(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands out the tests one by one, but for those that go on from each other's pools."""

    def _split_scope(self, nodeid: str) -> str:
        return "faults" if "/test_faults.py::test_faults" in nodeid else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Schedule the guest's tests."""
    # Not xdist's own groups: their names do not reach it from pytest 9 on.
    return _ByCampaign(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest quick test first, so that the others run beside it; what needs the guest last."""
    items.sort(key=lambda item: (item.get_closest_marker("guest") is not None, item.name != "test_mypy"))


def pytest_configure(config: pytest.Config) -> None:
    """Watch from the one process that sees all reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Whole(config), "whole")


class Whole:
    """Counts what ran, by part, and fails the run where something is missing."""

    def __init__(self, config: pytest.Config) -> None:
        self._needs: list[str] = config.getoption("--needs")
        self._tests: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._skipped = 0
        self._complaints: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of a test."""
        part = "guest" if "guest" in report.keywords else "quick"
        self._tests[part] += report.when == "call"
        self._seconds[part] += round(report.duration, 3)  # type: ignore[assignment]  # a Counter adds floats as well
        self._skipped += report.skipped and not hasattr(report, "wasxfail")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a module that skips itself."""
        self._skipped += report.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a part did not run or a test was skipped."""
        if session.config.option.collectonly:
            return
        self._complaints = [
            f"no test of the {part} part ran" for part in self._needs if not self._tests[part]
        ]
        if self._skipped:
            self._complaints.append(f"{self._skipped} skipped: a test that is skipped has not passed")
        if self._complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell the parts and the verdict, before pytest's last line."""
        terminalreporter.section("parts")
        for part in PARTS:
            if self._tests[part]:
                terminalreporter.line(
                    f"{part}: {self._tests[part]} tests, {self._seconds[part]:.0f} s in them"
                )
        for complaint in self._complaints:
            terminalreporter.line(f"NOT WHOLE: {complaint}", red=True)
