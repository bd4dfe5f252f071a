"""In CI a test may skip only for what that machine cannot have: the list says what, and why."""

import os
import re

import pytest

ALLOWED = {
    r"FREERTOS_PATH is not set": "FreeRTOS's source tree is not part of this repository",
    r"root may read everything": "CI runs as root, whom no file's permissions stop",
}


class SkipCheck:
    """Collect the skips of a run; fail it when one is not allowed."""

    def __init__(self):
        self.refused = []

    def pytest_runtest_logreport(self, report):
        self._look_at(report)

    def pytest_collectreport(self, report):
        self._look_at(report)

    def _look_at(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            if not any(re.search(allowed, str(reason)) for allowed in ALLOWED):
                self.refused.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session, exitstatus):
        if self.refused and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for refused in self.refused:
            terminalreporter.line(f"not allowed to skip in CI: {refused}", red=True)


def check_skips(config) -> None:
    """Fail a run in CI that skips what CI could have run; xdist leaves that to its controller."""
    if os.environ.get("CI", "false") != "false" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipCheck())
