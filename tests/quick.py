"""`pytest --quick`: the tests that need no compilation and no process; the others are skipped.

There is no list of them: a test is skipped at the moment that it traces a program for XLA, starts
a process, or builds a pipeline of tf.data, which traces a graph. What was skipped is remembered and
the next time skipped before its fixtures are made, until its file changes. What takes seconds
without any of that is marked `long`.
"""

import multiprocessing.process
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# In pytest's cache: tests by their id, and when their file was changed last.
SKIPPED = "quick/skipped"
# What JAX reports when a program is traced, whether for compiling it or for its shapes alone.
TRACED = "/jax/core/compile/jaxpr_trace_duration"
testing = False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="skip what compiles or starts a process")


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.getoption("quick"):
        return
    # Not before the settings of conftest.py: JAX reads its environment when it is imported.
    import jax

    jax.monitoring.register_event_duration_secs_listener(skip_at_tracing)
    skip_before(subprocess.Popen, "__init__", "starts a process")
    skip_before(multiprocessing.process.BaseProcess, "start", "starts a process")
    skip_before(os, "fork", "starts a process")
    if tensorflow := sys.modules.get("tensorflow"):
        for name in ("map", "__iter__"):
            skip_before(tensorflow.data.Dataset, name, "builds a pipeline of tf.data")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("quick"):
        config.pluginmanager.register(Memory(config))


class Memory:
    """What a quick run skipped, for the next one."""

    def __init__(self, config: pytest.Config) -> None:
        self.root, self.cache = config.rootpath, config.cache
        self.is_worker = hasattr(config, "workerinput")
        self.before: dict[str, int] = self.cache.get(SKIPPED, {}) if self.cache else {}
        self.skipped = dict(self.before)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self.before.get(item.nodeid) == self._changed(item.nodeid):
            pytest.skip("not quick: as before")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and "not quick: " in str(report.longrepr):
            self.skipped[report.nodeid] = self._changed(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if self.cache and not self.is_worker:
            self.cache.set(SKIPPED, self.skipped)

    def _changed(self, nodeid: str) -> int:
        return (self.root / nodeid.partition("::")[0]).stat().st_mtime_ns


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    global testing
    testing = True
    try:
        return (yield)
    finally:
        testing = False


def skip_at_tracing(event: str, duration_secs: float, **metadata: str | int) -> None:
    if event == TRACED:
        skip("traces a program")


def skip(why: str) -> None:
    if testing:
        pytest.skip(f"not quick: {why}")


def skip_before(owner: Any, name: str, why: str) -> None:
    """Replaces a function of a class or module by one that skips the test that calls it."""
    function: Callable = getattr(owner, name)

    def skipped(*arguments: Any, **named: Any) -> Any:
        skip(why)
        return function(*arguments, **named)

    setattr(owner, name, skipped)
