"""The size of an encoded picture by its header, in TensorFlow ops: nothing is decoded."""

from __future__ import annotations

from input_pipeline.tensorflow_on_cpu import tf

JPEG_START = b"\xff\xd8\xff"
_HEAD_BYTES = 32


def stored_size(encoded: tf.Tensor) -> tf.Tensor:
    """(height, width) in pixels as stored, int32 [2], of a JPEG, PNG, GIF or WebP.

    What is none of these gets numbers without meaning, a broken JPEG InvalidArgumentError.
    """
    is_jpeg = tf.equal(tf.strings.substr(encoded, 0, len(JPEG_START)), JPEG_START)
    return tf.cond(is_jpeg, lambda: jpeg_size(encoded), lambda: _others(encoded))


def jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    """`stored_size` of a JPEG."""
    return tf.image.extract_jpeg_shape(encoded)[:2]


def _others(encoded: tf.Tensor) -> tf.Tensor:
    padded = tf.strings.join([tf.strings.substr(encoded, 0, _HEAD_BYTES), b"\0" * _HEAD_BYTES])
    text = tf.strings.substr(padded, 0, _HEAD_BYTES)
    head = tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)

    def little(start: int, count: int) -> tf.Tensor:
        return tf.add_n([head[start + n] * 256**n for n in range(count)])

    def big(start: int) -> tf.Tensor:
        return tf.add_n([head[start + n] * 256 ** (3 - n) for n in range(4)])

    # WebP comes in three kinds: lossy, lossless (14 bits a side, less 1), and extended.
    bits = 2**14
    kinds = {
        b"\x89PNG": (big(20), big(16)),
        b"GIF8": (little(8, 2), little(6, 2)),
        b"VP8 ": (little(28, 2) % bits, little(26, 2) % bits),
        b"VP8L": (little(21, 4) // bits % bits + 1, little(21, 4) % bits + 1),
        b"VP8X": (little(27, 3) + 1, little(24, 3) + 1),
    }
    start, chunk = tf.strings.substr(text, 0, 4), tf.strings.substr(text, 12, 4)
    kind = tf.where(tf.equal(start, b"RIFF"), chunk, start)
    size = tf.zeros([2], tf.int64)
    for name, pair in kinds.items():
        size = tf.where(tf.equal(kind, name), tf.stack(pair), size)
    return tf.cast(size, tf.int32)
