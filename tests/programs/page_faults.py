"""`page_faults.py KEEP` prints those of filling a large array five times, in a thread of its own.

KEEP: 1, freed memory is kept; 0, it is left to glibc.
"""

import resource
import sys
import threading

import numpy as np

from animclip_jax import process


def fill() -> None:
    for number in range(9):
        if number == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = np.full(2 * process.LARGEST_KEPT, number, np.uint8)
        del block
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


if sys.argv[1] == "1":
    process.keep_freed_memory()
thread = threading.Thread(target=fill)
thread.start()
thread.join()
