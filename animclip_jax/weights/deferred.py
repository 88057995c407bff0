"""Arrays that are made each time they are asked for and not kept: no second model in memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Deferred:
    """An array of known shape and dtype; `numpy.asarray` of it calls `make`."""

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.make(), dtype, copy=copy)


Array = np.ndarray | Deferred


def as_float32(value: Array) -> Deferred:
    """The same values, float32 and contiguous."""
    return Deferred(
        tuple(value.shape), np.dtype(np.float32), lambda: np.asarray(value, np.float32, order="C")
    )
