"""`pytest --minutes N`: what has not begun after N minutes is skipped, and named at the end.

For a check that has a limit: what it left out is seen, and what it ran counts. Each commit draws
the order of the files, so that what one commit leaves out, another runs.
"""

import random
import subprocess
import time
from pathlib import Path

import pytest

LATE = "not begun in time"
ends_at: float | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, help="skip what has not begun after these")


def pytest_configure(config: pytest.Config) -> None:
    global ends_at
    minutes = config.getoption("minutes")
    ends_at = None if minutes is None else time.monotonic() + 60 * minutes


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ends_at is not None:
        files = sorted({item.path for item in items})
        random.Random(newest_commit()).shuffle(files)
        items.sort(key=lambda item: files.index(item.path))


def newest_commit() -> str:
    """Of the folder that pytest is started in; "" where there is none."""
    git = ["git", "rev-parse", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    if ends_at is not None and time.monotonic() >= ends_at:
        pytest.skip(LATE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    late = sorted(report.nodeid for report in skipped if LATE in str(report.longrepr))
    if late:
        minutes = terminalreporter.config.getoption("minutes")
        terminalreporter.write_line(f"=== NOT TESTED: not begun after {minutes:g} minutes")
        for test in late:
            terminalreporter.write_line(f"    {Path(test).as_posix()}")
