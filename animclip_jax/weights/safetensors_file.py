"""Safetensors files, read without a copy and written tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors

from animclip_jax import files
from animclip_jax.weights.deferred import Array

# By the format's names.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
# Whole rows of memory, as the format recommends.
_ALIGNED = 8


def read(path: Path) -> dict[str, np.ndarray]:
    """All tensors by name, as read-only views of the file: no memory is taken before they are used.

    Raises:
      FileNotFoundError: there is no such file. ValueError: it is none, or was cut off.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        # It checks the header against the file's length.
        with safetensors.safe_open(path, framework="np"):
            pass
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path}: not a safetensors file: {error}") from error
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", offset=8 + length) if header else np.zeros(0, np.uint8)
    found = {}
    for name, at in header.items():
        if (dtype := _DTYPES.get(at["dtype"])) is None:
            raise ValueError(f"{path}: {name} is {at['dtype']}, wanted one of {', '.join(_DTYPES)}")
        begin, end = at["data_offsets"]
        found[name] = np.asarray(data[begin:end]).view(dtype).reshape(at["shape"])
    return found


def write(path: Path, tensors: Mapping[str, Array]) -> None:
    """Writes tensors that any reader of the format takes. Raises DiskError."""
    names = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
    # Larger numbers first, so that all begin at a multiple of their size; transformers reads files
    # that say "pt" there, which means the layout of the names alone.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in order:
        value = tensors[name]
        begin, end = end, end + value.nbytes
        header[name] = {
            "dtype": names[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    with files.writing(path), path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(np.ascontiguousarray(tensors[name]).reshape(-1).view(np.uint8).data)
