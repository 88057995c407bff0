"""Pictures that are stored turned: EXIF's orientation, 1 (upright) to 8, applied by TensorFlow ops.

Upright is the stored picture, transposed from 5 on, then turned over top to bottom and left to
right by the table below.
"""

from __future__ import annotations

from input_pipeline.tensorflow_on_cpu import tf

#                     -  1  2  3  4  5  6  7  8
_TOP_TO_BOTTOM = (0, 0, 0, 1, 1, 0, 0, 1, 1)
_LEFT_TO_RIGHT = (0, 0, 1, 1, 0, 0, 1, 1, 0)
_FIRST_TRANSPOSED = 5


def stored_region(region: tf.Tensor, size: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Where a region of the upright picture is in the stored one.

    region: int32 [..., 4], (y, x, height, width); size: int32 [..., 2], the upright picture's
    (height, width); orientation: int32 [...]. Returns int32 [..., 4].
    """
    y, x, height, width = tf.unstack(region, axis=-1)
    y = tf.where(_is(_TOP_TO_BOTTOM, orientation), size[..., 0] - y - height, y)
    x = tf.where(_is(_LEFT_TO_RIGHT, orientation), size[..., 1] - x - width, x)
    same = tf.stack([y, x, height, width], axis=-1)
    turned = tf.stack([x, y, width, height], axis=-1)
    return tf.where((orientation >= _FIRST_TRANSPOSED)[..., None], turned, same)


def upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Pixels [h, w, C] as stored -> as shown. orientation: int32 scalar."""
    pixels = tf.cond(
        orientation >= _FIRST_TRANSPOSED,
        lambda: tf.transpose(pixels, [1, 0, 2]),
        lambda: pixels,
    )
    over = [_is(_TOP_TO_BOTTOM, orientation), _is(_LEFT_TO_RIGHT, orientation), tf.constant(False)]
    return tf.raw_ops.Reverse(tensor=pixels, dims=tf.stack(over))


def _is(table: tuple[int, ...], orientation: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.constant(table), orientation) == 1
