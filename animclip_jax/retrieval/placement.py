"""How an array's first axis lies on devices, read from a sharding that the caller chose."""

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec


def num_parts(split: NamedSharding) -> int:
    """Into how many parts the first axis is split."""
    return math.prod(split.mesh.shape[name] for name in jax.tree.leaves(split.spec[0]))


def platform(split: NamedSharding) -> str:
    """Of the devices: "cpu", "gpu" or "tpu"."""
    return split.mesh.devices.flat[0].platform


def whole(split: NamedSharding) -> NamedSharding:
    """The same devices, with the whole array on each."""
    return NamedSharding(split.mesh, PartitionSpec())


def put(arrays: Any, where: NamedSharding) -> Any:
    """NumPy arrays, the same in every process, onto the devices of all processes."""

    def one(x: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(x.shape, where, lambda index: x[index])

    return jax.tree.map(one, arrays)


def local_rows(split: NamedSharding, size: int) -> np.ndarray:
    """int [B]: which of `size` rows lie on this process's devices."""
    rows = np.arange(size)
    found = split.addressable_devices_indices_map((size,)).values()
    return np.unique(np.concatenate([rows[index] for index in found]))


def put_local(x: np.ndarray, size: int, split: NamedSharding) -> jax.Array:
    """An array of `size` rows, of which this process has those of `local_rows`."""
    rows = local_rows(split, size)

    def part(index: Any) -> np.ndarray:
        first, stop, _ = index[0].indices(size)
        start = np.searchsorted(rows, first)
        return x[start : start + stop - first]

    return jax.make_array_from_callback((size, *x.shape[1:]), split, part)


def padded(x: np.ndarray, size: int, value: int = 0) -> np.ndarray:
    """`x` itself, or with rows of `value` behind it."""
    if len(x) == size:
        return x
    return np.pad(x, ((0, size - len(x)), *[(0, 0)] * (x.ndim - 1)), constant_values=value)
