"""The first frame of a GIF, in TensorFlow ops.

TensorFlow's decoder makes what is transparent black, and of a frame that is smaller than the
picture it gives the frame's size, and pixels from elsewhere. So a file's bytes are changed before
they are decoded: the frame is put at the top left, and a second time in inverted colours, which
leaves black in both only what has no colour.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from input_pipeline.tensorflow_on_cpu import tf

GIF_START = b"GIF8"
# Bytes: the header up to the colours of all frames; a frame's own up to its colours.
_HEADER, _FRAME = 13, 10
_EXTENSION = 0x21
_EVERY_BYTE = [bytes([value]) for value in range(256)]


def first_frame(encoded: tf.Tensor) -> tf.Tensor:
    """uint8 [H, W, 4] with alpha 0 or 255. Raises InvalidArgumentError where it can't be read."""
    layout = _layout(tf.cast(tf.io.decode_raw(encoded, tf.uint8), tf.int32))
    # The frame's place, four bytes behind its mark, becomes the top left.
    placed = _replaced(encoded, layout.frame + 1, tf.constant(b"\0" * 4))
    colours = tf.strings.substr(encoded, layout.colours, layout.length)
    inverted = 255 - tf.cast(tf.io.decode_raw(colours, tf.uint8), tf.int32)
    negative = tf.strings.reduce_join(tf.gather(tf.constant(_EVERY_BYTE), inverted))
    height, width = layout.height, layout.width

    def decoded(changed: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(changed, channels=3, expand_animations=False)
        return tf.ensure_shape(pixels, [None, None, 3])[:height, :width]

    pixels = decoded(placed)
    both = pixels | decoded(_replaced(placed, layout.colours, negative))
    alpha = tf.where(tf.reduce_any(both > 0, axis=-1, keepdims=True), np.uint8(255), np.uint8(0))
    below = layout.screen_height - layout.top - height
    right = layout.screen_width - layout.left - width
    around = [[layout.top, below], [layout.left, right], [0, 0]]
    return tf.pad(tf.concat([pixels, alpha], axis=-1), around)


class _Layout(NamedTuple):
    """Where things are in a GIF, in bytes: its first frame, and that frame's colours; in pixels."""

    frame: tf.Tensor
    colours: tf.Tensor
    length: tf.Tensor
    screen_height: tf.Tensor
    screen_width: tf.Tensor
    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor


def _layout(data: tf.Tensor) -> _Layout:
    """data: int32 [N], the file's bytes."""

    def pair(at: tf.Tensor | int) -> tf.Tensor:
        return data[at] + 256 * data[at + 1]

    def colours_length(flags: tf.Tensor) -> tf.Tensor:
        count = tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
        return tf.where(flags >= 128, 3 * count, 0)

    shared = colours_length(data[10])

    # Extensions before the frame: a mark, a kind, and parts that begin with their lengths, until
    # one is empty.
    def goes_on(at: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
        return tf.logical_or(inside, tf.equal(data[at], _EXTENSION))

    def step(at: tf.Tensor, inside: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.where(inside, at + 1 + data[at], at + 2), tf.logical_or(~inside, data[at] > 0)

    frame, _ = tf.while_loop(goes_on, step, [_HEADER + shared, tf.constant(False)])
    own = colours_length(data[frame + 9])
    return _Layout(
        frame=frame,
        colours=tf.where(own > 0, frame + _FRAME, _HEADER),
        length=tf.where(own > 0, own, shared),
        screen_height=pair(8),
        screen_width=pair(6),
        top=pair(frame + 3),
        left=pair(frame + 1),
        height=pair(frame + 7),
        width=pair(frame + 5),
    )


def _replaced(encoded: tf.Tensor, at: tf.Tensor, piece: tf.Tensor) -> tf.Tensor:
    """A file with the bytes from `at` on replaced by a piece."""
    behind = at + tf.strings.length(piece)
    rest = tf.strings.substr(encoded, behind, tf.strings.length(encoded) - behind)
    return tf.strings.join([tf.strings.substr(encoded, 0, at), piece, rest])
