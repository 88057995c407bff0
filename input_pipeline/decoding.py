"""Encoded pictures -> pixels, in TensorFlow ops: the same pixels as input_pipeline.picture's."""

from __future__ import annotations

from contextlib import AbstractContextManager

import tensorflow as tf

from input_pipeline.picture_header import JPEG_START, stored_size

JPEG_END = b"\xff\xd9"
# TensorFlow's own choice is the fast transform, which makes a picture greener (on average red -1.1,
# blue -1.3 grey levels) and saves no time. This one equals Pillow's pixels bit for bit.
JPEG_TRANSFORM = "INTEGER_ACCURATE"


def decode_region(encoded: tf.Tensor, region: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 [height, width, 3] of a region; of a whole JPEG no more than that is decoded.

    region: int32 [4], (y, x, height, width); size: int32 [2], the picture's (height, width). A file
    that has become another, such as one of a billion pixels, is not decoded: that raises
    InvalidArgumentError, and so does one that is cut short, wherever the region is.
    """

    def part_of_jpeg() -> tf.Tensor:
        with _same_size(stored_size(encoded), size):
            checked = tf.identity(encoded)
        return _crop_jpeg(checked, region, size)

    def part_of_whole() -> tf.Tensor:
        y, x, height, width = tf.unstack(region)
        with _same_size(stored_size(encoded), size):
            checked = tf.identity(encoded)
        pixels = tf.cond(
            starts,
            lambda: tf.image.decode_jpeg(checked, channels=3, dct_method=JPEG_TRANSFORM),
            lambda: _decode(checked),
        )
        return pixels[y : y + height, x : x + width]

    starts = tf.equal(tf.strings.substr(encoded, 0, len(JPEG_START)), JPEG_START)
    # Only a JPEG that ends as one is known to be whole: decoding a part finds nothing missing.
    ends = tf.equal(tf.strings.substr(encoded, -len(JPEG_END), len(JPEG_END)), JPEG_END)
    return tf.cond(starts & ends, part_of_jpeg, part_of_whole)


def _crop_jpeg(encoded: tf.Tensor, region: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """A region of a JPEG, decoded with the columns beside it.

    Colour is stored at half the width. The decoder takes the outermost columns that it is asked for
    for the picture's edge, so that they would come out in other colours.
    """
    y, x, height, width = tf.unstack(region)
    first, last = tf.maximum(x - 1, 0), tf.minimum(x + width + 1, size[1])
    wider = tf.stack([y, first, height, last - first])
    pixels = tf.image.decode_and_crop_jpeg(encoded, wider, channels=3, dct_method=JPEG_TRANSFORM)
    return pixels[:, x - first :][:, :width]


def _same_size(found: tf.Tensor, wanted: tf.Tensor) -> AbstractContextManager[None]:
    """Inside it, ops wait for the sizes (height, width) to be the same."""
    same = tf.reduce_all(tf.equal(found, wanted))
    said = ["another size than when the source was opened, (height, width)", found]
    return tf.control_dependencies([tf.raw_ops.Assert(condition=same, data=said)])


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    """A whole picture, the first frame of a GIF or WebP: uint8 [H, W, 3]."""
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, 3])
