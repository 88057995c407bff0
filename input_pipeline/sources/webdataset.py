"""Tar files of KEY.jpg, KEY.txt and KEY.json, as img2dataset writes them: read at random by TF ops.

Tars on a disk are mapped into memory, so that a read costs what it reads; the pages are the file
system's cache, and are given back when memory is short. Elsewhere (gs://) each read goes through
the tar from its start: right, but slow.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax.words import count
from input_pipeline.columns import ops
from input_pipeline.columns.columns import Columns
from input_pipeline.media import box, picture
from input_pipeline.sources.shards import Found
from input_pipeline.tensorflow_on_cpu import tf

PICTURES = ("jpg", "jpeg", "png", "webp", "gif")
Parts = dict[str, tarfile.TarInfo]
_READ_BYTES = 1024 * 1024
# What says that a tar is damaged; anything else that it can't be read now.
_DAMAGED = (tarfile.TarError, EOFError, tf.errors.OutOfRangeError, tf.errors.DataLossError)
_SPECIAL = re.compile(r"(^|/)__[^/]*__(/|$)")


def read(file: str) -> Iterator[Found | tuple[str, str]]:
    """The samples of one tar, in the order in which their keys first come.

    The members of a key may stand anywhere in the tar. Yields (where, reason) for what can't be
    used. Raises OSError or tf.errors.OpError where the file can't be read now.
    """
    with tf.io.gfile.GFile(file, "rb") as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                samples, error = _grouped(tar)
                for key, parts in samples:
                    yield _sample(tar, key, parts)
        except _DAMAGED as raised:
            error = raised
        if error is not None:
            yield f"{file} from some point on", f"can't be read as a tar: {error}"


def fetch(files: list[str], columns: Columns) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from an index (int64 scalar) to the encoded picture, tf.string [1], in TF ops."""
    numbers, offsets, lengths = map(ops.rows, (columns.files, columns.offsets, columns.lengths))
    read_bytes = _mapped(files) if all(Path(file).is_file() for file in files) else _streamed(files)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        length = tf.cast(lengths(index), tf.int64)
        return read_bytes(numbers(index), offsets(index), length)[None]

    return fetch


def _grouped(tar: tarfile.TarFile) -> tuple[list[tuple[str, Parts]], Exception | None]:
    """(key, members by extension) of each sample, and what ended the tar before its end.

    A member whose key and extension were there already begins another sample of that key. Passed
    over are folders, and what no data set has as data: names that begin with a dot (as macOS adds
    to every file), names without an extension, and webdataset's own `__NAME__`.
    """
    samples: list[tuple[str, Parts]] = []
    by_key: dict[str, list[Parts]] = {}
    last = ""
    ended: Exception | None = None
    try:
        for member in tar:
            folder, slash, name = member.name.rpartition("/")
            stem, dot, extension = name.partition(".")
            if member.isdir() or not stem or not dot or _SPECIAL.search(member.name):
                continue
            last, extension = folder + slash + stem, extension.lower()
            known = by_key.setdefault(last, [])
            parts = next((one for one in known if extension not in one), None)
            if parts is None:
                parts = {}
                known.append(parts)
                samples.append((last, parts))
            parts[extension] = member
        ended = _unread(tar)
    except _DAMAGED as error:
        # The bytes of the last member need not be there: its sample goes with it.
        ended = error
        samples = [sample for sample in samples if sample[0] != last]
    return samples, ended


def _unread(tar: tarfile.TarFile) -> tarfile.ReadError | None:
    """What is wrong where tarfile found no further member, which it takes for the end."""
    file = tar.fileobj
    assert file is not None  # Only of a tar that is closed.
    file.seek(tar.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if block.strip(b"\0") or 0 < len(block) < tarfile.BLOCKSIZE:
        found = f"{block[:16]!r}" if len(block) == tarfile.BLOCKSIZE else f"{len(block)} bytes"
        return tarfile.ReadError(
            f"no header of a member at byte {tar.offset}: found {found}; get the file again"
        )
    # Behind the end a tar has zeros, to the end of a record of 10,240 bytes or so.
    while block := file.read(_READ_BYTES):
        if block.strip(b"\0"):
            return tarfile.ReadError(
                f"more than zeros behind its end at byte {tar.offset}; if several tars were "
                "joined, give each by itself"
            )
    return None


def _sample(tar: tarfile.TarFile, key: str, parts: Parts) -> Found | tuple[str, str]:
    pictures = [part for part in PICTURES if part in parts]
    if len(pictures) != 1:
        reason = f"{count(len(pictures), 'picture')}, wanted one; found {', '.join(sorted(parts))}"
        if any(part.rpartition(".")[2] in PICTURES for part in parts if "." in part):
            reason += "; a key ends at the first dot of a name, so remove the dots from keys"
        return key, reason
    member = parts[pictures[0]]
    try:
        captions: list[str] = []
        if "txt" in parts:
            captions = [_bytes(tar, parts["txt"]).decode("utf-8", "replace")]
        is_captioned = bool("".join(captions).strip())
        metadata = _metadata(_bytes(tar, parts["json"]), is_captioned) if "json" in parts else {}
        if not is_captioned:
            captions = _captions(metadata)
        seen = metadata.get(box.NAME)
        where = [] if seen is None else box.checked(seen)
        return Found(key, captions, _bytes(tar, member), member.offset_data, member.size, where)
    except ValueError as error:
        return key, str(error)


def _metadata(content: bytes, is_captioned: bool) -> dict[str, Any]:
    """A sample's json. Where it can't be read, a sample that is captioned without it has none."""
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError) as error:
        if is_captioned:
            return {}
        raise ValueError(f"its json can't be read: {error}") from error
    return metadata if isinstance(metadata, dict) else {}


def _captions(metadata: dict[str, Any]) -> list[str]:
    """The "caption" of a sample's json, a text or a list of texts."""
    caption = metadata.get("caption")
    several = caption if isinstance(caption, list) else [caption]
    return [text for text in several if isinstance(text, str)]


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Raises ValueError where that many bytes don't stand there as they are, or are too many."""
    if member.issym() or member.islnk():
        raise ValueError(f"{member.name} is a link to {member.linkname}, wanted the file itself")
    if not member.isfile():
        raise ValueError(f"{member.name} is a pipe or a device, wanted a file")
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
        # Of no bytes nothing can be mapped; the number of each tar stays what it is.
        is_empty = os.path.getsize(file) == 0
        mapped = ops.tensor(np.zeros(0, np.uint8) if is_empty else np.memmap(file, np.uint8, "r"))
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
        f"webdataset: {files[0]} is not on a disk, so each picture is read by reading its tar from "
        "the start; animclip prepare, or a copy on a disk, makes that fast",
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
