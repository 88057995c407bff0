"""Prints the page faults of making a large array five times; with `kept`, freed memory is kept."""

import resource
import sys

import numpy as np

from input_pipeline import process_memory

if sys.argv[1] == "kept":
    process_memory.keep_what_is_freed()
before = 0
for number in range(9):
    if number == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.full(2 * process_memory.LARGEST_KEPT, number, np.uint8)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
