"""Tests of what tests take for a full disk."""

import importlib
import sys

from tests.room import room


def test_modules_that_are_imported_on_a_full_disk_leave_no_cut_bytecode(tmp_path, monkeypatch):
    """Whoever imported them afterwards met an EOFError."""
    (tmp_path / "a_large_module.py").write_text("A = " + repr("x" * 5000) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    with room(1000):
        importlib.import_module("a_large_module")
    assert [path.name for path in tmp_path.rglob("*.pyc")] == []
