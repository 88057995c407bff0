"""`pytest --quick`: the tests that need no compilation and no process; the others are skipped.

There is no list of them: a test is skipped at the moment that it traces a program for XLA, starts
a process, or builds a pipeline of tf.data, which traces a graph. A module that it imports may do
so. What was skipped is remembered and the next time left out before anything is done for it, until
its file changes. What takes seconds without any of that is marked `long`.
"""

import inspect
import multiprocessing.process
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

# In pytest's cache: tests by their id, and when their file was changed last.
SKIPPED = "quick/skipped"
# What JAX reports when a program is traced, whether for compiling it or for its shapes alone.
TRACED = "/jax/core/compile/jaxpr_trace_duration"
testing = False
# Why the test that runs is skipped, once it is known.
reason: str | None = None


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
        before: dict[str, int] = self.cache.get(SKIPPED, {}) if self.cache else {}
        changed = {path: self._changed(path) for path in {path_of(test) for test in before}}
        self.skipped = {test: at for test, at in before.items() if at == changed[path_of(test)]}
        self.before = frozenset(self.skipped)

    # Not skipped: what each of thousands of skipped tests says takes seconds on its way.
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        config.hook.pytest_deselected(items=[it for it in items if it.nodeid in self.before])
        items[:] = [it for it in items if it.nodeid not in self.before]

    def pytest_report_header(self) -> str:
        return f"quick: {len(self.before)} tests were skipped before and are left out"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and "not quick: " in str(report.longrepr):
            self.skipped[report.nodeid] = self._changed(path_of(report.nodeid))

    def pytest_sessionfinish(self) -> None:
        if self.cache and not self.is_worker:
            self.cache.set(SKIPPED, self.skipped)

    def _changed(self, path: str) -> int:
        """When a file was, in nanoseconds; 0 if it is gone."""
        try:
            return (self.root / path).stat().st_mtime_ns
        except OSError:
            return 0


def path_of(test: str) -> str:
    """The file of a test, from its id."""
    return test.partition("::")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    global testing, reason
    testing, reason = True, None
    try:
        return (yield)
    finally:
        testing = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """A test that met its skip in another thread, or caught it, failed by that alone."""
    report = yield
    if reason is not None and report.failed:
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Skipped: {reason}")
    return report


def skip_at_tracing(event: str, duration_secs: float, **metadata: str | int) -> None:
    if event == TRACED:
        skip("traces a program")


def skip(why: str) -> None:
    global reason
    if testing and not importing():
        reason = f"not quick: {why}"
        pytest.skip(reason)


def importing() -> bool:
    """Whether a module is being imported: a skip there would leave half of it to later tests."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def skip_before(owner: Any, name: str, why: str) -> None:
    """Replaces a function of a class or module by one that skips the test that calls it."""
    function: Callable = getattr(owner, name)

    def skipped(*arguments: Any, **named: Any) -> Any:
        skip(why)
        return function(*arguments, **named)

    setattr(owner, name, skipped)
