"""`page_faults.py BYTES` prints those of making a large array five times.

Freed memory is kept as a process does that makes and frees blocks of so many bytes.
"""

import resource
import sys

import numpy as np

from animclip_jax import process

process.keep_freed_memory(int(sys.argv[1]))
before = 0
for number in range(9):
    if number == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.full(2 * process.LARGEST_KEPT, number, np.uint8)
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
