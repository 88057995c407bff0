"""NumPy's .npz files as views of the file, or unpacked array by array where they are compressed."""

from __future__ import annotations

import functools
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.lib import format as npy

from animclip_jax import files
from animclip_jax.weights import mapped_zip
from animclip_jax.weights.deferred import Array, Deferred

_SUFFIX = ".npy"
# NumPy writes bfloat16 as two bytes that mean nothing.
_BFLOAT16 = "|V2"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# Arrays that stay unpacked: the keys and the values of stacked layers are read in turns.
_KEPT = 2


def read(path: Path) -> dict[str, Array]:
    """All arrays by name; no memory is taken before they are used.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it is damaged, far larger unpacked than
        packed, or holds Python objects; names the file. A compressed array may raise that later.
    """
    unpack = functools.lru_cache(_KEPT)(functools.partial(_unpack, path))
    with files.unpacking(path) as archive:
        return {
            entry.filename.removesuffix(_SUFFIX): _array(archive, entry, path, unpack)
            for entry in archive.infolist()
        }


def _array(
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    path: Path,
    unpack: Callable[[str], np.ndarray],
) -> Array:
    with archive.open(entry) as member:
        header = _HEADERS.get(version := npy.read_magic(member))
        if header is None:
            raise ValueError(f"{entry.filename} is of version {version} of its format")
        shape, by_columns, dtype = header(member)
        begin = member.tell()
    if dtype.hasobject:
        raise ValueError(f"{entry.filename} holds Python objects, wanted numbers")
    if entry.file_size != begin + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{entry.filename} is cut off")
    if entry.compress_type:
        known = np.dtype(ml_dtypes.bfloat16) if dtype.str == _BFLOAT16 else dtype
        return Deferred(shape, known, functools.partial(unpack, entry.filename))
    values = mapped_zip.view(archive, entry, path)[begin:].view(dtype)
    return _number(values.reshape(shape[::-1]).T if by_columns else values.reshape(shape))


def _unpack(path: Path, name: str) -> np.ndarray:
    with files.unpacking(path) as archive, archive.open(name) as member:
        return _number(npy.read_array(member, allow_pickle=False))


def _number(value: np.ndarray) -> np.ndarray:
    return value.view(ml_dtypes.bfloat16) if value.dtype.str == _BFLOAT16 else value
