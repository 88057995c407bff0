"""How a clip is filmed in the pipeline: the part of the picture that it sees, and its plan.

TensorFlow ops alone, so that all of it runs inside Dataset.map.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline.director import direct, noise

JPEG_START = b"\xff\xd8\xff"

# A clip on its way through the pipeline, or a batch of them: names -> tensors.
Clip = dict[str, tf.Tensor]


def plan_batch(animation: AnimationConfig) -> Callable[[Clip], Clip]:
    """A function from a batch of clips to the same with a plan in place of the noise.

    Pictures are not needed yet, only their sizes, so all of this is done once for a whole batch.
    """

    def plan(clips: Clip) -> Clip:
        windows = direct(clips["noise"], clips["size"], animation)
        region = smallest_region(windows)
        rest = {name: value for name, value in clips.items() if name != "noise"}
        return rest | {"boxes": on_canvas(windows, region), "region": region}

    return plan


def film_picture(
    picture: np.ndarray, animation: AnimationConfig, seed: int, canvas_size: int
) -> tuple[np.ndarray, ShotPlan]:
    """Films a decoded picture uint8 [H, W, 3]: canvas uint8 [S, S, 3], boxes float32 [T, 4]."""
    draws = noise(seed, tf.constant(0, tf.int64))[None]
    boxes = direct(draws, tf.constant([picture.shape[:2]], tf.int32), animation)[0]
    region = smallest_region(boxes)
    y, x, height, width = region.numpy()
    canvas = to_canvas(picture[y : y + height, x : x + width], canvas_size)
    return canvas.numpy(), ShotPlan(on_canvas(boxes, region).numpy())


def smallest_region(boxes: tf.Tensor) -> tf.Tensor:
    """The whole pixels that windows [..., T, 4] see: int32 [..., 4], (y, x, height, width)."""
    low = tf.cast(tf.floor(tf.reduce_min(boxes[..., :2], axis=-2)), tf.int32)
    high = tf.cast(tf.math.ceil(tf.reduce_max(boxes[..., 2:], axis=-2)), tf.int32)
    return tf.concat([low, high - low], axis=-1)


def decode_region(encoded: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 [height, width, 3] of a region; of a JPEG no more than that is decoded."""

    def crop() -> tf.Tensor:
        y, x, height, width = tf.unstack(region)
        return _decode(encoded)[y : y + height, x : x + width]

    return tf.cond(
        _is_jpeg(encoded),
        lambda: tf.image.decode_and_crop_jpeg(encoded, region, channels=3),
        crop,
    )


def to_canvas(pixels: tf.Tensor, canvas_size: int) -> tf.Tensor:
    """Stretches uint8 [H, W, 3] to uint8 [S, S, 3], anti-aliased."""
    size = [canvas_size, canvas_size]
    # Where nothing shrinks the anti-aliased resize gives the same pixels, at six times the cost.
    resized = tf.cond(
        tf.reduce_any(tf.shape(pixels)[:2] > canvas_size),
        lambda: tf.image.resize(pixels, size, antialias=True),
        lambda: tf.image.resize(pixels, size),
    )
    canvas = tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
    return tf.ensure_shape(canvas, [canvas_size, canvas_size, 3])


def on_canvas(boxes: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    """Windows [..., T, 4] in pixels of the picture -> in fractions of the region [..., 4]."""
    region = tf.cast(region, tf.float32)[..., None, :]
    origin = tf.concat([region[..., :2]] * 2, axis=-1)
    extent = tf.concat([region[..., 2:]] * 2, axis=-1)
    # The region holds the windows: the clip takes away rounding only.
    return tf.clip_by_value((boxes - origin) / extent, 0.0, 1.0)


def _is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.equal(tf.strings.substr(encoded, 0, len(JPEG_START)), JPEG_START)


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    """PNG, GIF or WebP (the first frame): uint8 [H, W, 3]."""
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, 3])
