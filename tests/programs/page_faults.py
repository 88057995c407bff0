"""Prints the page faults of making a large array five times; with `kept`, freed memory is kept."""

import resource
import sys

import numpy as np

from animclip_jax import process

if sys.argv[1] == "kept":
    process.keep_freed_memory(2 * process.LARGEST_KEPT)
before = 0
for number in range(9):
    if number == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.full(2 * process.LARGEST_KEPT, number, np.uint8)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
