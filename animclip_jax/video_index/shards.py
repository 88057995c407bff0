"""Features of segments on the disk: arrays that are memory-mapped, a folder a shard."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import jax.numpy as jnp
import numpy as np

from animclip_jax import files
from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index.catalogue import Catalogue

SHARDS = "shards"
_EMBEDDING, _VALUES, _SCALES = "embedding.npy", "code_values.npy", "code_scales.npy"
_TIMES, _THUMBNAILS, _ENDS = "times.npy", "thumbnails.bin", "thumbnail_ends.npy"


class Rows(NamedTuple):
    """Features of N segments.

    embedding float32 [N, E], unit length. code: as it is stored, [N, M, C]; None where the model
    does not re-rank. times float64 [N, 2]: start and end in seconds. thumbnails: JPEG, one each.
    """

    embedding: np.ndarray
    code: PackedCode | None
    times: np.ndarray
    thumbnails: Sequence[bytes]

    def take(self, rows: np.ndarray) -> Rows:
        """Those of some rows, in memory."""
        code = self.code
        if code is not None:
            scales = None if code.scales is None else np.asarray(code.scales[rows])
            code = PackedCode(np.asarray(code.values[rows]), scales)
        thumbnails = [self.thumbnails[row] for row in rows]
        return Rows(
            np.asarray(self.embedding[rows]), code, np.asarray(self.times[rows]), thumbnails
        )


class _Thumbnails(Sequence[bytes]):
    """Pictures of a file, by where each ends."""

    def __init__(self, data: np.ndarray, ends: np.ndarray):
        self.data, self.ends = data, ends

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        start = self.ends[row - 1] if row else 0
        return self.data[start : self.ends[row]].tobytes()


def write(directory: Path, name: str, count: int, parts: Iterable[Rows]) -> None:
    """Writes the shard `name` of an index, which is on the disk when this returns.

    Args:
      count: rows of all parts together, of which one is in memory at a time.
    """
    folder = directory / SHARDS / name
    folder.mkdir(parents=True)
    try:
        with files.writing(folder):
            _write(folder, count, parts)
            files.sync(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(folder: Path, count: int, parts: Iterable[Rows]) -> None:
    """Writes arrays from their start to their end.

    Mapped into memory they would be shorter to write; but where a mapped file finds no room on the
    disk, the process is killed (SIGBUS) before it can say a word.
    """
    ends, written = [0], 0
    with contextlib.ExitStack() as stack:
        opened: dict[str, IO[bytes]] = {}

        def append(file: str, rows: np.ndarray) -> None:
            if file not in opened:
                opened[file] = stack.enter_context((folder / file).open("wb"))
                like = np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(rows))
                header = like | {"shape": (count, *rows.shape[1:])}
                np.lib.format.write_array_header_1_0(opened[file], header)
            opened[file].write(rows.tobytes())

        thumbnails = stack.enter_context((folder / _THUMBNAILS).open("wb"))
        for part in parts:
            for file, rows in _arrays(part).items():
                append(file, rows)
            thumbnails.writelines(part.thumbnails)
            for one in part.thumbnails:
                ends.append(ends[-1] + len(one))
            written += len(part.embedding)
        append(_ENDS, np.array(ends[1:], np.int64))
    assert written == count == len(ends) - 1, (written, count, len(ends))


def _arrays(rows: Rows) -> dict[str, np.ndarray]:
    arrays = {_EMBEDDING: rows.embedding, _TIMES: rows.times}
    if rows.code is not None:
        values = np.asarray(rows.code.values)
        # NumPy's files don't know bfloat16.
        arrays[_VALUES] = values.view(f"u{values.itemsize}")
        if rows.code.scales is not None:
            arrays[_SCALES] = np.asarray(rows.code.scales)
    return arrays


def read(directory: Path, name: str, code_dtype: str | None) -> Rows:
    """A shard, memory-mapped; code_dtype None: without its codes. Raises FileNotFoundError."""
    folder = directory / SHARDS / name

    def opened(file: str) -> np.ndarray:
        return np.load(folder / file, mmap_mode="r")

    code = None
    if code_dtype is not None:
        scales = opened(_SCALES) if (folder / _SCALES).exists() else None
        code = PackedCode(opened(_VALUES).view(jnp.dtype(code_dtype)), scales)
    data = np.memmap(folder / _THUMBNAILS, np.uint8, "r")
    thumbnails = _Thumbnails(data, opened(_ENDS))
    return Rows(opened(_EMBEDDING), code, opened(_TIMES), thumbnails)


def next_name(directory: Path) -> str:
    """Names rise, so that shards sort by age."""
    there = sorted(path.name for path in (directory / SHARDS).glob("*"))
    return f"{int(there[-1]) + 1 if there else 0:08d}"


def remove_unused(directory: Path, catalogue: Catalogue | None) -> None:
    """Removes the shards that the catalogue does not name, such as one cut short by a kill."""
    used = set() if catalogue is None else set(catalogue.shards)
    for path in (directory / SHARDS).glob("*"):
        if path.name not in used:
            shutil.rmtree(path)
