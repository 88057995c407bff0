"""TFRecord files of tf.train.Examples, as img2dataset writes them: read at random by TF ops."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from animclip_jax.words import count
from input_pipeline.columns import ops
from input_pipeline.columns.columns import Columns
from input_pipeline.media import box, picture
from input_pipeline.sources.shards import Found
from input_pipeline.tensorflow_on_cpu import tf

# Where a picture may be, and its text, under img2dataset's names and TFDS's.
PICTURES = ("jpg", "png", "webp", "image", "image/encoded")
CAPTIONS = ("txt", "caption", "captions", "text", "captions/text")
NAMES = ("key", "image/filename", "image/id", "id")

# Before a record: its length (uint64) and the length's CRC; behind it: the data's CRC.
_HEAD, _FOOT = 12, 4
# What one random read asks of the file system at a time. Larger buffers read the neighbours too.
_READ_BYTES = 64 * 1024


def read(file: str) -> Iterator[Found | tuple[str, str]]:
    """What stands in one file, in order; (where, reason) for a record that can't be used."""
    with tf.io.gfile.GFile(file, "rb") as records:
        size, offset, number = records.size(), 0, 0
        while offset < size:
            where = f"record {number}"
            head = records.read(_HEAD)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == _HEAD else size
            if offset + _HEAD + length + _FOOT > size:
                yield where, "cut short: the file ends within it"
                return
            try:
                picture.check_length(length)
                yield _found(records.read(length), where, offset)
            except ValueError as error:
                yield where, str(error)
            offset += _HEAD + length + _FOOT
            records.seek(offset)
            number += 1


def fetch(files: list[str], columns: Columns) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from an index (int64 scalar) to the encoded picture, tf.string [1], in TF ops.

    Damaged bytes raise tf.errors.DataLossError when it runs.
    """
    paths = tf.constant(files)
    numbers, offsets = ops.rows(columns.files), ops.rows(columns.offsets)

    def fetch(index: tf.Tensor) -> tf.Tensor:
        records = tf.raw_ops.TFRecordDatasetV2(
            filenames=[paths[numbers(index)]],
            compression_type="",
            buffer_size=_READ_BYTES,
            byte_offsets=[offsets(index)],
        )
        # Without this the op would go on to the next record.
        first = tf.raw_ops.TakeDataset(
            input_dataset=records, count=1, output_types=[tf.string], output_shapes=[[]]
        )
        (record,) = tf.raw_ops.DatasetToSingleElement(
            dataset=first, output_types=[tf.string], output_shapes=[[]]
        )
        absent = tf.io.FixedLenFeature([], tf.string, default_value="")
        found = tf.io.parse_single_example(record, dict.fromkeys(PICTURES, absent))
        return tf.strings.join([found[name] for name in PICTURES])[None]

    return fetch


def _found(record: bytes, where: str, offset: int) -> Found:
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # protobuf's DecodeError, which has no public home.
        raise ValueError(f"not a tf.train.Example: {error}") from error
    texts = {
        name: [value.decode("utf-8", "replace") for value in features[name].bytes_list.value]
        for name in (*CAPTIONS, *NAMES)
        if name in features
    }
    pictures = [name for name in PICTURES if name in features and features[name].bytes_list.value]
    if len(pictures) != 1:
        raise ValueError(
            f"{count(len(pictures), 'picture')}, wanted one, in a feature {', '.join(PICTURES)}; "
            f"found {', '.join(sorted(features))}"
        )
    ids = [texts[name][0] for name in NAMES if texts.get(name)]
    captions = next((texts[name] for name in CAPTIONS if texts.get(name)), [])
    encoded = features[pictures[0]].bytes_list.value[0]
    # A metadata column of four numbers, under the same name as in a webdataset's json.
    ends = [round(end, 6) for end in features[box.NAME].float_list.value]
    seen = box.checked(ends) if ends else []
    return Found(ids[0] if ids else where, captions, encoded, offset, len(record), seen)
