"""Tensors out of a PyTorch archive, a plain one or a TorchScript one, without PyTorch.

A .pt file is a zip archive with a pickle, which could run any program when it is loaded. Here the
pickle is read by an unpickler that knows a few names and gives none of them a meaning of its own:
what it makes are plain descriptions, from which arrays are made afterwards, after all checks.
"""

from __future__ import annotations

import collections
import math
import pickle
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from animclip_jax import files, words
from animclip_jax.weights import mapped_zip

# What reading raises where an entry is not there, is encrypted or cut off, or has other bytes or a
# damaged name.
DAMAGE = zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, EOFError, UnicodeDecodeError

DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class Archive(NamedTuple):
    """tensors by name; whether the file was a TorchScript archive, as OpenAI's are."""

    tensors: dict[str, np.ndarray]
    is_script: bool


class _Tensor(NamedTuple):
    """A tensor as the pickle describes it; nothing of it is checked yet."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class _Storage(NamedTuple):
    kind: Any
    key: Any


class _Name(NamedTuple):
    """A global of the pickle that is no more than its name, such as torch.FloatStorage."""

    name: str


def read(path: Path) -> Archive:
    """The tensors of a .pt file: a state dict, or a module with its submodules' names dotted.

    Raises:
      ValueError: it is no such archive, or holds anything but tensors and plain containers.
    """
    try:
        with _opened(path) as archive:
            root, is_script = _survey(archive, path)
            found = _unpickle(archive.read(f"{root}/data.pkl"), path)
            described = list(_walk(found, ""))
            tensors = {name: _array(archive, root, tensor, path) for name, tensor in described}
    except DAMAGE as error:
        found = str(error) or "cut off"
        raise ValueError(f"{path}: a damaged archive: {found}; download it again") from error
    if not tensors:
        raise ValueError(f"{path}: no tensor in it, wanted a state dict or a TorchScript module")
    return Archive(tensors, is_script)


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path}: not a zip archive ({error}), as PyTorch 1.6 and later write: load an older "
            "file there and save it again"
        ) from error


def _survey(archive: zipfile.ZipFile, path: Path) -> tuple[str, bool]:
    """The folder inside that holds everything, and whether it holds program code."""
    entries = archive.infolist()
    roots = [entry.filename[: -len("/data.pkl")] for entry in entries if _is_pickle(entry.filename)]
    if len(roots) != 1:
        raise ValueError(f"{path}: {len(roots)} data.pkl in it, wanted one; not a PyTorch archive")
    packed = [
        entry.filename
        for entry in entries
        if entry.filename.startswith(f"{roots[0]}/data") and entry.compress_type
    ]
    if packed:
        raise ValueError(f"{path}: {packed[0]} is compressed, which PyTorch does not do")
    order = f"{roots[0]}/byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise ValueError(f"{path}: the numbers are big-endian, wanted little-endian")
    return roots[0], any(entry.filename.startswith(f"{roots[0]}/code/") for entry in entries)


def _is_pickle(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/data.pkl")


def _unpickle(data: bytes, path: Path) -> Any:
    try:
        return _Unpickler(data).load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: not read: {error}") from error
    except Exception as error:  # A hostile pickle can break the machine that reads it in any way.
        raise ValueError(
            f"{path}: data.pkl can't be read: {type(error).__name__}: {error}"
        ) from error


class _Unpickler(files.PlainUnpickler):
    """Knows how tensors, containers and TorchScript modules are written, and nothing else."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)

        # Made anew for each file, for a pickle can set attributes of a class.
        class Module:
            """A TorchScript module: its attributes, and its name taken for nothing."""

        def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
            return _Tensor(storage, offset, size, stride)

        def first(value: Any, *_: Any) -> Any:
            return value

        self.module = Module
        self.known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): first,
        } | {
            ("torch.jit._pickle", name): first
            for name in (
                "build_boollist",
                "build_doublelist",
                "build_intlist",
                "build_tensorlist",
                "restore_type_tag",
            )
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self.known:
            return self.known[module, name]
        if module == "__torch__" or module.startswith("__torch__."):
            return self.module
        if module == "torch" and name in DTYPES:
            return _Name(name)
        raise pickle.UnpicklingError(
            f"data.pkl asks for {module}.{name}, which is neither a tensor nor a plain container"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, key = pid[1], pid[2]
        if pid[0] != "storage" or not isinstance(kind, _Name) or not isinstance(key, str):
            raise pickle.UnpicklingError(
                f"data.pkl refers to {pid!r}, which is not the storage of a tensor"
            )
        return _Storage(kind.name, key)


def _walk(value: Any, prefix: str) -> Iterator[tuple[str, _Tensor]]:
    """Every tensor in nested modules and dicts, by its dotted name."""
    if isinstance(value, _Tensor):
        yield prefix, value
        return
    inside = value if isinstance(value, dict) else getattr(value, "__dict__", None)
    if isinstance(inside, dict):
        for name, part in inside.items():
            if isinstance(name, str):
                yield from _walk(part, f"{prefix}.{name}" if prefix else name)


def _array(archive: zipfile.ZipFile, root: str, tensor: _Tensor, path: Path) -> np.ndarray:
    """The tensor's values; every number in its description is checked against what is stored."""
    storage, offset, size, stride = tensor
    if not (
        isinstance(storage, _Storage)
        and isinstance(size, tuple)
        and isinstance(stride, tuple)
        and len(size) == len(stride)
        and all(isinstance(number, int) and number >= 0 for number in (offset, *size, *stride))
    ):
        raise ValueError(f"{path}: a damaged archive: a tensor is described as {tensor}")
    dtype = np.dtype(DTYPES[storage.kind])
    entry = archive.getinfo(f"{root}/data/{storage.key}")
    stored = entry.file_size // dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count > stored or (count and last >= stored):
        needed = words.count(max(count, last + 1), "number")
        raise ValueError(
            f"{path}: a tensor of {list(size)} needs {needed} of data/"
            f"{storage.key}, which holds {stored}"
        )
    strides = [step * dtype.itemsize for step in stride]
    if not count:
        return np.zeros(tuple(size), dtype)
    values = mapped_zip.view(archive, entry, path)[: stored * dtype.itemsize].view(dtype)[offset:]
    return np.lib.stride_tricks.as_strided(values, tuple(size), strides, writeable=False)
