"""`page_faults.py KEEP` prints those of filling a large array five times, in a thread of its own.

KEEP: 1, freed memory is kept; 0, it is left to glibc.
"""

import resource
import sys
import threading

import numpy as np

from animclip_jax import process

# By itself, glibc gives blocks of over 32 MiB back to the system at once.
SIZE = 64 << 20


def fill() -> None:
    for number in range(9):
        if number == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = np.full(SIZE, number, np.uint8)
        del block
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


if sys.argv[1] == "1":
    process.keep_freed_memory()
thread = threading.Thread(target=fill)
thread.start()
thread.join()
