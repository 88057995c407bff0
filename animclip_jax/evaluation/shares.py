"""Which of an evaluation's videos and captions each process has, and how all get what all need."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from animclip_jax import distributed, sharding
from animclip_jax.retrieval.placement import padded


class Shares:
    """`count` items split between the processes: each has consecutive ones, as many as the others.

    counts: int [P], how many each has. first: this process's first item. mine: its items.
    """

    def __init__(self, count: int):
        processes, process = jax.process_count(), jax.process_index()
        self._ends = np.arange(processes + 1) * count // processes
        self.counts = np.diff(self._ends)
        self.first = int(self._ends[process])
        # Whoever has none takes the first one, to have something to compute; nobody asks for it.
        self.mine = range(self.first, int(self._ends[process + 1])) or range(1)

    def owner(self, items: np.ndarray) -> np.ndarray:
        """Which process has each of the items, int: int of the same shape."""
        return np.searchsorted(self._ends, items, side="right") - 1

    def gathered(self, arrays: Any) -> Any:
        """Rows of this process's items, [C, ...], to rows of all items, in every process."""
        return gathered(arrays, self.counts)


def gathered(arrays: Any, counts: Sequence[int] | np.ndarray) -> Any:
    """NumPy arrays of every process, one behind the other, in every process: [sum of C, ...].

    All processes call this together.

    Args:
      arrays: a tree; of its arrays [C or more, ...] the first C rows count. counts: each process's
        C, the same in every process.
    """
    if len(counts) == 1:
        return jax.tree.map(lambda x: x[: counts[0]], arrays)
    distributed.wait("an exchange")
    return jax.tree.map(lambda x: _gathered(x, counts), arrays)


def _gathered(x: np.ndarray, counts: Sequence[int] | np.ndarray) -> np.ndarray:
    size, here = int(max(counts)), counts[jax.process_index()]
    if size == 0:
        return x[:0]
    rows = np.ascontiguousarray(padded(x[:here], size)).reshape(size, -1)
    # As bytes: what passes is what was there, whatever its type.
    whole = sharding.from_all_processes(rows.view(np.uint8)).reshape(len(counts), size, -1)
    found = np.concatenate([part[:count] for part, count in zip(whole, counts, strict=True)])
    return found.view(x.dtype).reshape(-1, *x.shape[1:])
