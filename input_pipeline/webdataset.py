"""Tar files of KEY.jpg, KEY.txt and KEY.json, as img2dataset writes them: read at random by TF ops.

Tars on a disk are mapped into memory, so that a read costs what it reads; the pages are the file
system's cache, and are given back when memory is short. Elsewhere (gs://) each read goes through
the tar from its start: right, but slow.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from input_pipeline import picture
from input_pipeline.shards import Entry, Found

PICTURES = ("jpg", "jpeg", "png", "webp", "gif")
_READ_BYTES = 1024 * 1024


def read(file: str) -> Iterator[Found | tuple[str, str]]:
    """What stands in one tar, in order; (where, reason) for what can't be used."""
    with tf.io.gfile.GFile(file, "rb") as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                yield from _samples(tar)
        except (tarfile.TarError, EOFError, OSError, tf.errors.OpError) as error:
            yield f"{file} from some point on", f"can't be read as a tar: {error}"


def fetch(files: list[str], entries: list[Entry]) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from an index (int64 scalar) to the encoded picture, tf.string [1], in TF ops."""
    numbers = tf.constant([entry.file for entry in entries], tf.int32)
    offsets = tf.constant([entry.offset for entry in entries], tf.int64)
    lengths = tf.constant([entry.length for entry in entries], tf.int64)
    read_bytes = _mapped(files) if all(Path(file).is_file() for file in files) else _streamed(files)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        return read_bytes(numbers[index], offsets[index], lengths[index])[None]

    return fetch


def _samples(tar: tarfile.TarFile) -> Iterator[Found | tuple[str, str]]:
    """Members of one key stand together, in any order."""
    key: str | None = None
    parts: dict[str, tarfile.TarInfo] = {}
    for member in tar:
        if not member.isfile():
            continue
        folder, slash, name = member.name.rpartition("/")
        stem, _, extension = name.partition(".")
        if folder + slash + stem != key:
            if key is not None:
                yield _sample(tar, key, parts)
            key, parts = folder + slash + stem, {}
        parts[extension.lower()] = member
    if key is not None:
        yield _sample(tar, key, parts)


def _sample(
    tar: tarfile.TarFile, key: str, parts: dict[str, tarfile.TarInfo]
) -> Found | tuple[str, str]:
    pictures = [part for part in PICTURES if part in parts]
    if len(pictures) != 1:
        return key, f"{len(pictures)} pictures, wanted one; found {', '.join(sorted(parts))}"
    member = parts[pictures[0]]
    try:
        if "txt" in parts:
            captions = [_bytes(tar, parts["txt"]).decode("utf-8", "replace")]
        else:
            captions = _captions(_bytes(tar, parts["json"])) if "json" in parts else []
        return Found(key, captions, _bytes(tar, member), member.offset_data, member.size)
    except ValueError as error:
        return key, str(error)


def _captions(content: bytes) -> list[str]:
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its json can't be read: {error}") from error
    caption = metadata.get("caption") if isinstance(metadata, dict) else None
    return [caption] if isinstance(caption, str) else []


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Raises ValueError where that many bytes don't stand there as they are, or are too many."""
    if member.sparse is not None:
        raise ValueError(f"{member.name} has holes (a sparse member), wanted its bytes as they are")
    picture.check_length(member.size)
    file = tar.extractfile(member)
    assert file is not None  # Only of what is no file.
    return file.read()


def _mapped(files: list[str]) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Reads (file, offset, length) from tars that are mapped into memory, tf.string scalars."""
    tars = tf.raw_ops.EmptyTensorList(
        element_shape=tf.constant([-1], tf.int64), max_num_elements=-1, element_dtype=tf.uint8
    )
    for file in files:
        mapped = tf.raw_ops.ImmutableConst(
            dtype=tf.uint8, shape=[Path(file).stat().st_size], memory_region_name=file
        )
        tars = tf.raw_ops.TensorListPushBack(input_handle=tars, tensor=mapped)

    def read(number: tf.Tensor, offset: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        tar = tf.raw_ops.TensorListGetItem(
            input_handle=tars, index=number, element_shape=[-1], element_dtype=tf.uint8
        )
        # No op makes a string of bytes, but a tensor's own format ends with them.
        message = tf.io.serialize_tensor(tar[offset : offset + length])
        length = tf.cast(length, tf.int32)
        return tf.strings.substr(message, -length, length)

    return read


def _streamed(files: list[str]) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """Reads (file, offset, length) from anywhere that TensorFlow reads, from each tar's start."""
    print(
        f"webdataset: {files[0]} is on no disk, so every picture is reached by reading its tar "
        "from the start; animclip prepare, or a copy on a disk, makes that fast",
        file=sys.stderr,
    )
    paths = tf.constant(files)
    sizes = tf.constant([tf.io.gfile.stat(file).length for file in files], tf.int64)

    def read(number: tf.Tensor, offset: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        record = tf.raw_ops.FixedLengthRecordDatasetV2(
            filenames=[paths[number]],
            header_bytes=offset,
            record_bytes=length,
            footer_bytes=sizes[number] - offset - length,
            buffer_size=_READ_BYTES,
            compression_type="",
        )
        (bytes_,) = tf.raw_ops.DatasetToSingleElement(
            dataset=record, output_types=[tf.string], output_shapes=[[]]
        )
        return bytes_

    return read
