"""benchmarks.private_memory: the most that a block of code had."""

import time
from pathlib import Path

import numpy as np

from benchmarks.private_memory import SECONDS, Peak

SIZE = 2**26


def test_what_was_freed_before_the_end_counts():
    with Peak() as peak:
        block = np.ones(SIZE, np.uint8)
        time.sleep(10 * SECONDS)
        del block
    assert 0.95 * SIZE < peak.grown < 1.5 * SIZE
    assert peak.seconds > SECONDS


def test_the_pages_of_a_file_do_not(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    with Peak() as peak:
        assert np.memmap(path, mode="r").sum() == 0
        time.sleep(10 * SECONDS)
    assert peak.grown < 0.5 * SIZE
