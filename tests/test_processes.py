"""Tests of tests/processes.py: what a test starts does not outlive it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes

# Starts a process that outlives it, in a session of its own, and says which.
LEAVES_ONE = """
import subprocess, sys
command = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)"]
left = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
left.stdout.readline()
print(left.pid, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_nothing_outlives_a_test_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), processes.none_left():
        command = [sys.executable, "-c", LEAVES_ONE]
        left = int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        assert left in processes.below(os.getpid()), "its parent is gone"
        _ = 1 / 0
    assert not Path(f"/proc/{left}").exists()
