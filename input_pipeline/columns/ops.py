"""Rows of columns taken by TensorFlow ops alone; a mapped file is read where it lies."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable

import numpy as np

from input_pipeline.columns.texts import Texts
from input_pipeline.tensorflow_on_cpu import tf

# A function from indices (int64, any shape) to the rows there.
Take = Callable[[tf.Tensor], tf.Tensor]
# Linux then sets no memory aside for a mapping that could be written. Python names it from 3.13 on.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0


def tensor(column: np.ndarray, is_scattered: bool = False) -> tf.Tensor:
    """A column as a tensor; of a column that is mapped into memory without a copy.

    is_scattered: rows of few bytes are taken here and there; the system then reads the pages that
    hold them, and not also those behind, up to megabytes for each.

    tf.raw_ops.ImmutableConst maps a file, too, but reads all of it when it is made.
    """
    # What is a part of another column has that as its base.
    if isinstance(column, np.memmap) and isinstance(column.base, mmap.mmap):
        with open(column.filename, "rb") as file:
            # TensorFlow takes no array that is read-only. What is written to this one, and nothing
            # is, never reaches the file.
            mode, access = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
            pages = mmap.mmap(file.fileno(), 0, mode, access)
        if is_scattered and hasattr(mmap, "MADV_RANDOM"):  # Not on Windows.
            pages.madvise(mmap.MADV_RANDOM)
        whole = np.frombuffer(pages, column.dtype).reshape(column.shape)
        return tf.experimental.dlpack.from_dlpack(whole.__dlpack__())
    return tf.constant(column)


def is_repeated(column: np.ndarray) -> bool:
    """Whether one number stands for all rows, as in a column that has no file."""
    return bool(len(column) and column.ndim and not any(column.strides))


def rows(column: np.ndarray) -> Take:
    """Takes rows of a column of numbers; one number that stands for all rows stays one."""
    if is_repeated(column):
        return _repeated(tf.constant(column[0]))
    values = tensor(column, is_scattered=True)
    return lambda index: tf.gather(values, index)


def texts(column: Texts) -> Take:
    """Takes texts: indices int64 [B] to tf.string [B]."""
    heap, ends = tensor(column.heap, True), tensor(column.ends, True)
    # No op makes texts of the bytes of many, but one joins them.
    letters = tf.constant([bytes([byte]) for byte in range(256)])

    def take(index: tf.Tensor) -> tf.Tensor:
        places = tf.ragged.range(tf.gather(ends, index), tf.gather(ends, index + 1))
        found = tf.gather(letters, tf.cast(tf.gather(heap, places.flat_values), tf.int32))
        return tf.strings.unsorted_segment_join(found, places.value_rowids(), tf.size(index))

    return take


def _repeated(value: tf.Tensor) -> Take:
    def take(index: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(value, tf.concat([tf.shape(index), tf.shape(value)], 0))

    return take
