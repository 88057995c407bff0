"""Tests of input_pipeline.process_memory."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from input_pipeline import process_memory
if sys.argv[1] == "kept":
    process_memory.keep_what_is_freed()
for number in range(9):
    if number == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.full(2 * process_memory.LARGEST_KEPT, number, np.uint8)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's memory is what is tested")
def test_a_large_block_is_used_again() -> None:
    def faults(how: str) -> int:
        ran = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True)
        return int(ran.stdout)

    assert faults("kept") < 0.05 * faults("not")
