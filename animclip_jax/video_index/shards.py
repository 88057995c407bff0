"""Features of segments on the disk: arrays that are memory-mapped, a folder a shard."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from animclip_jax import files, process
from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index import spoken
from animclip_jax.video_index.catalogue import CATALOGUE, Catalogue, Video

SHARDS = "shards"
_EMBEDDING, _VALUES, _SCALES = "embedding.npy", "code_values.npy", "code_scales.npy"
_TIMES, _THUMBNAILS, _ENDS = "times.npy", "thumbnails.bin", "thumbnail_ends.npy"
_SAID = "said.sqlite"
_FILES_A_SHARD = 7  # Each is open for as long as it is mapped.
_FEWEST = 4  # Shards that are mapped at once, however few files may be open.
_NAME = re.compile(r"\d{8}")


class Rows(NamedTuple):
    """Features of N segments.

    embedding float32 [N, E], unit length. code: as it is stored, [N, M, C]; None where the model
    does not re-rank. times float64 [N, 2]: start and end in seconds. thumbnails: JPEG, one each.
    said: what subtitles say, "" where nothing; None where that is so of all.
    """

    embedding: np.ndarray
    code: PackedCode | None
    times: np.ndarray
    thumbnails: Sequence[bytes]
    said: Sequence[str] | None = None

    def take(self, rows: np.ndarray) -> Rows:
        """Those of some rows, in memory."""
        code = self.code
        if code is not None:
            scales = None if code.scales is None else np.asarray(code.scales[rows])
            code = PackedCode(np.asarray(code.values[rows]), scales)
        thumbnails = [self.thumbnails[row] for row in rows]
        said = None if self.said is None else [self.said[row] for row in rows]
        times = np.asarray(self.times[rows])
        return Rows(np.asarray(self.embedding[rows]), code, times, thumbnails, said)


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
    said: list[str] = []
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
            said += part.said or [""] * len(part.thumbnails)
            for one in part.thumbnails:
                ends.append(ends[-1] + len(one))
            written += len(part.embedding)
        append(_ENDS, np.array(ends[1:], np.int64))
    if any(said):
        (folder / _SAID).write_bytes(spoken.pack(said))
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
    """A shard, memory-mapped; code_dtype None: without its codes.

    Raises:
      FileNotFoundError: a file is missing. OSError: one can't be read here. ValueError: one is
        damaged. Names it.
    """
    folder = directory / SHARDS / name
    times = _array(folder / _TIMES, np.float64, (None, 2))
    rows = len(times)
    embedding = _array(folder / _EMBEDDING, np.float32, (rows, None))
    code = None
    if code_dtype is not None:
        dtype = jnp.dtype(code_dtype)
        packed = _array(folder / _VALUES, f"u{dtype.itemsize}", (rows, None, None))
        scales = None
        if dtype == jnp.int8:
            scales = _array(folder / _SCALES, np.float16, (rows, packed.shape[1]))
        code = PackedCode(packed.view(dtype), scales)
    ends = _array(folder / _ENDS, np.int64, (rows,))
    thumbnails = _Thumbnails(_mapped(folder / _THUMBNAILS), ends)
    if (np.diff(ends, prepend=0) < 0).any() or ends[-1] != len(thumbnails.data):
        raise damaged(folder / _ENDS, f"not the ends of {len(thumbnails.data)} bytes of pictures")
    try:
        file = folder / _SAID
        said = spoken.Spoken(file, rows, directory) if file.exists() else None
    except sqlite3.Error as error:
        spoken.require_damage(error, file)
        raise damaged(file, error) from error
    return Rows(embedding, code, times, thumbnails, said)


def read_all(directory: Path, catalogue: Catalogue) -> dict[str, Rows]:
    """The shards of a catalogue. Raises as `read`; ValueError where they lack a video's rows."""
    process.allow_open_files(len(catalogue.shards) * _FILES_A_SHARD)
    code_dtype = catalogue.code_dtype if catalogue.reranks else None
    found = {name: read(directory, name, code_dtype) for name in catalogue.shards}
    for name, video in catalogue.videos.items():
        _require_rows(directory, name, video, len(found[video.shard].times))
    return found


def count_rows(directory: Path, catalogue: Catalogue) -> int:
    """Rows of all shards, also of videos that are gone. Raises as `read_all`."""
    code_dtype = catalogue.code_dtype if catalogue.reranks else None
    counts = {name: len(read(directory, name, code_dtype).times) for name in catalogue.shards}
    for name, video in catalogue.videos.items():
        _require_rows(directory, name, video, counts[video.shard])
    return sum(counts.values())


def reader(count: int) -> Callable[[Path, Catalogue, str], Rows]:
    """What reads the rows of a video into memory, given an index, its catalogue and a name.

    It keeps up to `count` shards mapped, and fewer where fewer files may be open. It raises as
    `read_all`.
    """
    allowed = process.allow_open_files(count * _FILES_A_SHARD)
    mapped = functools.lru_cache(max(_FEWEST, allowed // _FILES_A_SHARD))(read)

    def rows(directory: Path, catalogue: Catalogue, name: str) -> Rows:
        video = catalogue.videos[name]
        shard = mapped(directory, video.shard, catalogue.code_dtype if catalogue.reranks else None)
        _require_rows(directory, name, video, len(shard.times))
        return shard.take(np.arange(video.first, video.first + video.segments))

    return rows


def _require_rows(directory: Path, name: str, video: Video, rows: int) -> None:
    if video.first + video.segments > rows:
        raise ValueError(
            f"{directory / CATALOGUE}: {name}: rows {video.first} to "
            f"{video.first + video.segments} of {rows} in shard {video.shard}; remove "
            f"{directory} and index again"
        )


def require_finite(directory: Path, name: str, rows: Rows) -> None:
    """Raises ValueError, which names the file, where rows of a shard have Infinity or NaN."""
    given = {_EMBEDDING: rows.embedding, _TIMES: rows.times}
    if rows.code is not None:
        # Whole numbers are finite; what else codes are stored as, NumPy may not know.
        values, scales = rows.code
        if scales is None:
            given[_VALUES] = np.asarray(values).astype(np.float32)
        else:
            given[_SCALES] = np.asarray(scales)
    for file, array in given.items():
        # A sum is finite only if all numbers are, and takes a fraction of the time.
        with np.errstate(all="ignore"):
            is_finite = np.isfinite(np.sum(array)) or np.isfinite(array).all()
        if not is_finite:
            raise damaged(directory / SHARDS / name / file, "holds numbers that are not finite")


def damaged(path: Path, problem: object) -> ValueError:
    """What to raise of a file of a shard."""
    return ValueError(f"{path}: {problem}; remove {path.parents[2]} and index again")


def _array(path: Path, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> np.ndarray:
    """A file's array, memory-mapped. Of `shape` None stands for any number from 1."""
    try:
        array = np.load(path, mmap_mode="r")
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    # A header can say nearly anything.
    except Exception as error:
        raise damaged(path, f"can't be read as an array: {error}") from error
    fits = len(array.shape) == len(shape) and all(
        found == wanted if wanted is not None else found > 0
        for found, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits or 0 in array.shape:
        wanted = f"{np.dtype(dtype)} [{', '.join('any' if n is None else f'{n}' for n in shape)}]"
        raise damaged(path, f"found {array.dtype} {list(array.shape)}, wanted {wanted}")
    return array


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    except ValueError as error:
        raise damaged(path, error) from error


def next_name(directory: Path, skipped: int = 0) -> str:
    """Names rise, so that shards sort by age. skipped: how many names stay free before it."""
    there = sorted(path.name for path in _there(directory))
    return f"{int(there[-1]) + 1 + skipped if there else skipped:08d}"


def remove_unused(directory: Path, catalogue: Catalogue | None) -> None:
    """Removes the shards that the catalogue does not name, such as one cut short by a kill.

    What can't be removed now is left for the next time: a network drive keeps a file that a server
    has open.
    """
    used = set() if catalogue is None else set(catalogue.shards)
    for path in _there(directory):
        if path.name not in used:
            shutil.rmtree(path, ignore_errors=True)


def _there(directory: Path) -> list[Path]:
    """The folders of shards; other entries are of file managers and network drives."""
    return [path for path in (directory / SHARDS).glob("*") if _NAME.fullmatch(path.name)]
