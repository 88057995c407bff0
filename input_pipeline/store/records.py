"""A prepared store: encoded frames of many items in one TFRecord, read at random by TF ops alone.

It is written to a disk, and read from there or, copied there, from gs://.

TensorFlow is imported where it is used, so that worker processes that only decode or draw,
and readers of the index alone, don't pay for it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from etils import epath

from animclip_jax import files
from animclip_jax.words import count

if TYPE_CHECKING:
    from input_pipeline.tensorflow_on_cpu import tf

VERSION = 1
RECORDS, INDEX, SUMMARY = "examples.tfrecord", "index.jsonl", "store.json"
AGAIN = "remove the directory and prepare it again"

_SUMMARY = {"version": int, "source": str, "num_items": int}
_EXTENTS = ("num_frames", "width", "height")
_ITEM = {"id": str, "captions": list, **dict.fromkeys(("offset", *_EXTENTS), int)}

# A TFRecord: length (uint64), its CRC (uint32), the data, the data's CRC (uint32).
_RECORD_OVERHEAD = 16
# What one random read asks of the file system at a time. Larger buffers read the neighbours too.
_READ_BYTES = 64 * 1024


class StoreWriter:
    """Writes a store as a whole or not at all: use it in a `with` block.

    `source` says where the items come from; `details` go into the store's summary. Raises
    FileExistsError where `directory` is already there, and files.DiskError where the disk is full.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        source: str,
        details: dict[str, Any] | None = None,
    ) -> None:
        self.directory = Path(directory)
        self.source = source
        self._details = details or {}
        self._offset = 0
        self._num_items = 0

    def __enter__(self) -> StoreWriter:
        from input_pipeline.tensorflow_on_cpu import tf

        if self.directory.exists():
            raise FileExistsError(
                f"store {self.directory}: already there; remove it first to write it again"
            )
        self._writing = functools.partial(files.writing, self.directory, tf.errors.OpError)
        with contextlib.ExitStack() as stack:
            self._temporary = stack.enter_context(files.new_folder(self.directory))
            stack.enter_context(self._writing())
            self._records = tf.io.TFRecordWriter(str(self._temporary / RECORDS))
            stack.callback(self._records.close)
            self._index = stack.enter_context((self._temporary / INDEX).open("wb"))
            self._stack = stack.pop_all()
        return self

    def add(
        self,
        id: str,
        frames: list[bytes],
        captions: list[str],
        width: int,
        height: int,
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Appends one item: its frames in order, each an encoded JPEG of width x height pixels.

        `fields` are what else is known of it, JSON values by name.
        Raises ValueError for an item without frames.
        """
        from input_pipeline.tensorflow_on_cpu import tf

        if not frames:
            raise ValueError(f"store {self.directory}: item {id!r} has no frames, wanted 1 or more")
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=frames))
        example = tf.train.Example(features=tf.train.Features(feature={"frames": feature}))
        record = example.SerializeToString()
        line = {
            "id": id,
            "captions": captions,
            "offset": self._offset,
            "num_frames": len(frames),
            "width": width,
            "height": height,
        }
        if fields:
            line["fields"] = fields
        with self._writing():
            self._records.write(record)
            self._index.write(files.as_line(line))
        self._offset += len(record) + _RECORD_OVERHEAD
        self._num_items += 1

    def write_lines(self, name: str, lines: Iterable[dict[str, Any]]) -> None:
        """Adds a file of JSON lines to the store."""
        path = self._temporary / name
        path.parent.mkdir(exist_ok=True)
        files.write_lines(path, lines)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            summary = {"version": VERSION, "source": self.source, "num_items": self._num_items}
            files.write_json(self._temporary / SUMMARY, summary | self._details)


def read_lines(
    path: str | os.PathLike[str], fields: files.Fields = files.NONE
) -> list[dict[str, Any]]:
    """Reads JSON lines. Raises ValueError naming the line that is no object with these fields."""
    return files.read_lines(epath.Path(path), AGAIN, fields)


def read_summary(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """A store's summary: version, source, num_items, and the details it was written with."""
    return files.read_object(epath.Path(directory) / SUMMARY, AGAIN, _SUMMARY)


def digest(directory: str | os.PathLike[str]) -> str:
    """Names a store by its place and its summary, for what is kept of it elsewhere."""
    place = epath.Path(directory)
    content = f"{os.fspath(place)}\n{(place / SUMMARY).read_text(encoding='utf-8')}"
    return f"{place.name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def read_index(directory: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The items of a store in order: id, captions, offset, num_frames, width, height, and fields.

    Raises as `each_item`.
    """
    return [*each_item(directory)]


def check(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The summary of a store all of whose parts are there.

    Raises FileNotFoundError where a part is missing, and ValueError where another version wrote it.
    """
    place = epath.Path(directory)
    for name in (SUMMARY, INDEX, RECORDS):
        if not (place / name).is_file():
            raise FileNotFoundError(
                f"{place / name}: missing, so {place} is not a complete store; {AGAIN}"
            )
    summary = read_summary(place)
    if summary.get("version") != VERSION:
        raise ValueError(
            f"{place / SUMMARY}: version {summary.get('version')!r}, wanted {VERSION}; {AGAIN}"
        )
    return summary


def each_item(directory: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yields what `read_index` returns, an item at a time, for stores that memory does not hold.

    Raises as `check`, and ValueError where a line or a length can't be so. What belongs to the
    whole is known at the end alone: the items are good once all of them have been read.
    """
    summary = check(directory)
    place = epath.Path(directory)
    item: dict[str, Any] | None = None
    number, least = 0, 0
    for number, item in enumerate(files.each_line(place / INDEX, AGAIN, _ITEM), 1):
        _check_item(place / INDEX, number, item, least)
        least = item["offset"] + _RECORD_OVERHEAD + 1
        yield item
    if number != summary["num_items"]:
        raise ValueError(
            f"{place / INDEX}: {count(number, 'item')}, but {SUMMARY} says "
            f"{summary['num_items']}; {AGAIN}"
        )
    _check_length(place / RECORDS, item)


def fetch_record(directory: str | os.PathLike[str]) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from an item's offset (int64 scalar) to its frames, tf.string [F].

    It is TensorFlow ops alone, so it runs inside Dataset.map. An offset that no record starts at,
    or damaged bytes, raise tf.errors.DataLossError when it runs.
    """
    from input_pipeline.tensorflow_on_cpu import tf

    path = os.fspath(epath.Path(directory) / RECORDS)

    def fetch(offset: tf.Tensor) -> tf.Tensor:
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=[path],
            compression_type="",
            buffer_size=_READ_BYTES,
            byte_offsets=tf.reshape(offset, [1]),
        )
        # Without this the op would go on to the next record.
        first = tf.raw_ops.TakeDataset(
            input_dataset=records, count=1, output_types=[tf.string], output_shapes=[[]]
        )
        (record,) = tf.raw_ops.DatasetToSingleElement(
            dataset=first, output_types=[tf.string], output_shapes=[[]]
        )
        features = {"frames": tf.io.RaggedFeature(tf.string)}
        return tf.io.parse_single_example(record, features)["frames"]

    return fetch


def _check_item(path: epath.Path, number: int, item: dict[str, Any], least: int) -> None:
    """Records follow each other from the file's start; sizes are sizes, captions texts."""
    starts = (0, 0) if number == 1 else (least, 2**63 - 1)
    for name, (first, last) in {"offset": starts, **dict.fromkeys(_EXTENTS, (1, 2**31))}.items():
        if not first <= item[name] <= last:
            raise ValueError(
                f"{path} line {number}: found {item[name]!r:.80} as {name!r}, wanted "
                f"{first} or more; {AGAIN}"
            )
    if not all(isinstance(caption, str) for caption in item["captions"]):
        raise ValueError(
            f"{path} line {number}: found {item['captions']!r:.80} as 'captions', wanted "
            f"texts; {AGAIN}"
        )


def _check_length(path: epath.Path, last: dict[str, Any] | None) -> None:
    """The file must end where its last record ends: a copy cut short is found before training."""
    wanted = 0
    if last is not None:
        with path.open("rb") as records:
            records.seek(last["offset"])
            head = records.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        wanted = last["offset"] + length + _RECORD_OVERHEAD
    found = path.stat().length
    if found != wanted:
        raise ValueError(
            f"{path}: {found} bytes, wanted {wanted} by its index (cut short or mixed up); {AGAIN}"
        )
