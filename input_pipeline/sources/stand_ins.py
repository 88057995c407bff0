"""What is found out only in mid-run: an example that can't be decoded, and which one stands in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from input_pipeline.examples import Examples
from input_pipeline.media import quarantine


class Table(NamedTuple):
    """The examples that can't be decoded, int64 [K] in order, and those that are taken instead."""

    broken: np.ndarray
    instead: np.ndarray


class StandIns:
    """Which example is taken in an example's place: itself, as long as it can be decoded.

    Else the next one that can, group_size further on. That depends on which examples are broken
    and on nothing else, so the batches are the same whenever it is found out, and by whom.
    `table` has the others.
    """

    def __init__(self, examples: Examples, group_size: int) -> None:
        self.table = Table(np.empty(0, np.int64), np.empty(0, np.int64))
        self._examples = examples
        self._group_size = group_size
        self._bad: dict[int, str] = {}

    def replace(self, bad: Mapping[int, str], batch_size: int) -> None:
        """Takes note of examples {index: reason} of one batch: quarantined, and stood in for.

        Raises ValueError where over half of the batch or of the source can't be decoded.
        """
        examples = self._examples
        named = [(examples.ids[index], f"can't be decoded: {why}") for index, why in bad.items()]
        if examples.quarantine is not None:
            quarantine.add(examples.quarantine, named)
        self._bad |= bad
        name, reason = named[0]
        message = f"{examples.name}: {name!r} {reason}"
        if len(named) > 1:
            message += f"; and {len(named) - 1} more"
        if len(bad) > max(1, quarantine.MAX_SHARE * batch_size):
            raise ValueError(f"over half of a batch, {len(bad)} of {batch_size}: {message}")
        if len(self._bad) > quarantine.MAX_SHARE * len(examples.ids):
            total = f"{len(self._bad)} of {len(examples.ids)}"
            raise ValueError(f"over half of the source, {total}: {message}")
        listed = f", see {examples.quarantine}" if examples.quarantine else ""
        print(f"{message}; others stand in{listed}", file=sys.stderr)
        broken = sorted(self._bad)
        instead = [self._next(index) for index in broken]
        self.table = Table(np.array(broken, np.int64), np.array(instead, np.int64))

    def _next(self, index: int) -> int:
        total = len(self._examples.ids)
        # Past the last of the group's kind, any will do.
        for step in (self._group_size, 1):
            for further in range(step, total * step, step):
                if (other := (index + further) % total) not in self._bad:
                    return other
        raise AssertionError("under half of the examples are bad")
