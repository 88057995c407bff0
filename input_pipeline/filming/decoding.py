"""Encoded pictures -> pixels in TensorFlow ops: the same as those of media/picture.py."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np

from input_pipeline.filming.aside import aside
from input_pipeline.filming.gif import GIF_START, first_frame
from input_pipeline.filming.header import JPEG_START, jpeg_size, stored_size
from input_pipeline.tensorflow_on_cpu import tf

JPEG_END = b"\xff\xd9"
PNG_START = b"\x89PNG"
# TensorFlow's own choice is the fast transform, which makes a picture greener (on average red -1.1,
# blue -1.3 grey levels) and saves no time. This one equals Pillow's pixels bit for bit.
JPEG_TRANSFORM = "INTEGER_ACCURATE"
# The smallest width of a block in a JPEG.
BLOCK = 8


def decode_region(encoded: tf.Tensor, region: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 [height, width, 3] of a region, on a white ground where it is transparent.

    Of a whole JPEG no more than the region is decoded; of an animation the first frame.

    region: int32 [4], (y, x, height, width); size: int32 [2], the picture's (height, width). A file
    that has become another, such as one of a billion pixels, is not decoded: that raises
    InvalidArgumentError, and so does one that is cut short, wherever the region is.
    """

    # Only a JPEG that ends as one is known to be whole: decoding a part finds nothing missing.
    ends = tf.equal(tf.strings.substr(encoded, -len(JPEG_END), len(JPEG_END)), JPEG_END)
    # The usual picture's way is short: what only others need stands behind the condition.
    return tf.cond(
        _starts(encoded, JPEG_START) & ends,
        lambda: _crop_jpeg(encoded, region, size),
        lambda: _decode_whole(encoded, region, size),
    )


@aside
def _decode_whole(encoded: tf.Tensor, region: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """As `decode_region`, of which only the region is kept."""
    with _same_size(stored_size(encoded), size):
        checked = tf.identity(encoded)
    decoders = [
        (_starts(encoded, JPEG_START), lambda: _part(_whole_jpeg(checked), region)),
        (_starts(encoded, PNG_START), lambda: _on_white(_png(checked), region)),
        (_starts(encoded, GIF_START), lambda: _on_white(first_frame(checked), region)),
    ]
    return tf.case(decoders, default=lambda: _webp(checked, region))


def _starts(encoded: tf.Tensor, mark: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(encoded, 0, len(mark)), mark)


def _crop_jpeg(encoded: tf.Tensor, region: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """A region of a JPEG, decoded with the columns beside it where they decide a colour.

    Colour is stored at half the width, and the decoder treats the outermost columns that it reads
    as the picture's edge. Two would get wrong colours: a last column that is the second of a pair,
    and a first column that begins a block, where reading begins.
    """
    with _same_size(jpeg_size(encoded), size):
        encoded = tf.identity(encoded)
    y, x, height, width = tf.unstack(region)
    first = tf.where(x % BLOCK == 0, tf.maximum(x - 1, 0), x)
    end = x + width
    # Of two columns alone, each is an edge.
    last = tf.minimum(tf.maximum(end + 1 - end % 2, 3), size[1])
    wider = tf.stack([y, first, height, last - first])
    pixels = tf.image.decode_and_crop_jpeg(encoded, wider, channels=3, dct_method=JPEG_TRANSFORM)
    # In one step, because each copies all pixels; a step that cuts nothing copies none.
    return pixels[:, x - first : end - first]


def _same_size(found: tf.Tensor, wanted: tf.Tensor) -> AbstractContextManager[None]:
    """Inside it, ops wait for the sizes (height, width) to be the same."""
    same = tf.reduce_all(tf.equal(found, wanted))
    said = ["another size than when the source was opened, (height, width)", found]
    return tf.control_dependencies([tf.raw_ops.Assert(condition=same, data=said)])


def _whole_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.image.decode_jpeg(encoded, channels=3, dct_method=JPEG_TRANSFORM)


def _png(encoded: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 4]."""
    pixels = tf.io.decode_png(encoded, channels=4)
    depth = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 24, 1), tf.uint8)[0], tf.int32)
    # TensorFlow 2.21 gives opaque pictures of 1, 2 or 4 bits an alpha of 1, 3 or 15 everywhere.
    opaque = tf.cast(tf.bitwise.left_shift(1, tf.minimum(depth, 8)) - 1, tf.uint8)
    is_opaque = tf.reduce_all(pixels[..., 3:] == opaque)
    alpha = tf.where(is_opaque, np.uint8(255), pixels[..., 3:])
    return tf.concat([pixels[..., :3], alpha], axis=-1)


def _webp(encoded: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    # As many channels must be asked for as there are.
    pixels = tf.io.decode_image(encoded, channels=0, expand_animations=False)
    pixels = tf.ensure_shape(pixels, [None, None, None])
    opaque = tf.equal(tf.shape(pixels)[-1], 3)
    found = tf.cond(opaque, lambda: _part(pixels, region), lambda: _on_white(pixels, region))
    return tf.ensure_shape(found, [None, None, 3])


def _part(pixels: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    y, x, height, width = tf.unstack(region)
    return pixels[y : y + height, x : x + width]


def _on_white(pixels: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    """A region of uint8 [H, W, 4], its alpha composited: uint8 [height, width, 3]."""
    part = tf.cast(_part(pixels, region), tf.int32)
    colour, alpha = part[..., :3], part[..., 3:]
    return tf.cast((colour * alpha + 255 * (255 - alpha) + 127) // 255, tf.uint8)
