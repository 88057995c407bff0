"""What a run with a limit leaves out, of a file of tests that is made here."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import in_time, processes
from tests.repository import ROOT


@pytest.fixture
def command(tmp_path) -> list[str]:
    (tmp_path / "test_made_here.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    given = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml")]
    return [*given, f"--rootdir={tmp_path}", str(tmp_path)]


def test_what_has_not_begun_in_time_is_skipped_and_named(command):
    done = processes.run([*command, "--minutes=0"], JAX_PLATFORMS="cpu")
    assert done.returncode == 0 and "2 skipped" in done.stdout, done.stdout + done.stderr
    assert "=== NOT TESTED: not begun after 0 minutes\n" in done.stdout
    assert "    test_made_here.py::test_one\n    test_made_here.py::test_two\n" in done.stdout


def test_what_begins_in_time_is_run(command):
    done = processes.run([*command, "--minutes=5"], JAX_PLATFORMS="cpu")
    assert "2 passed" in done.stdout and "NOT TESTED" not in done.stdout


def test_each_commit_draws_the_order_of_the_files(monkeypatch):
    tests: list[Any] = [SimpleNamespace(path=Path(f"{n // 2}.py"), name=n) for n in range(20)]
    monkeypatch.setattr(in_time, "ends_at", 60.0)
    orders: dict[str, list[int]] = {}
    for commit in ("aa", "bb", "aa"):
        monkeypatch.setattr(in_time, "newest_commit", lambda commit=commit: commit)
        items = [*tests]
        in_time.pytest_collection_modifyitems(items)
        names = [test.name for test in items]
        assert sorted(names) == list(range(20))
        assert all(two == one + 1 for one, two in zip(names[::2], names[1::2], strict=True))
        assert orders.setdefault(commit, names) == names
    assert orders["aa"] != orders["bb"]


def test_the_newest_commit_is_known():
    commit = in_time.newest_commit().strip()
    assert len(commit) == 40 or not (ROOT / ".git").exists()
