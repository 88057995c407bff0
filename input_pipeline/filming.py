"""How a clip is filmed in the pipeline: the part of the picture that it sees, and its plan.

TensorFlow ops alone, so that all of it runs inside Dataset.map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline import scenes
from input_pipeline.director import direct, noise
from input_pipeline.director.shots import most_overlap
from input_pipeline.rendering import render_clip

JPEG_START = b"\xff\xd8\xff"

# A clip on its way through the pipeline, or a batch of them: names -> tensors.
Clip = dict[str, tf.Tensor]


def plan_batch(animation: AnimationConfig, seed: int) -> Callable[[Clip], Clip]:
    """A function from a batch of loaded clips to the same with plans.

    Their "position", int64 [B], the number of each in the whole run, grows by 1 from clip to clip.
    """

    def plan(clips: Clip) -> Clip:
        position = clips["position"]
        count = tf.shape(position)[0]
        follows = position[0] + tf.range(tf.cast(count, tf.int64))
        with tf.control_dependencies([tf.debugging.assert_equal(position, follows)]):
            draws = noise(seed, position[0], count)
        plan, picture = direct(draws, clips["size"], animation)
        kept = {name: clips[name] for name in ("encoded", "size", "caption", "index")}
        return kept | {"plan": _pack(plan, picture)}

    return plan


def film_clip(animation: AnimationConfig, canvas_size: int) -> Callable[[Clip], Clip]:
    """A function from a planned clip to what leaves the pipeline.

    That is canvas and plan, or where the host renders frames uint8 [T, O, O, 3]; caption and index.
    """

    def film(clip: Clip) -> Clip:
        def read(picture: int, region: tf.Tensor) -> tf.Tensor:
            return decode_region(clip["encoded"][picture], region)

        planned, picture = _unpack(clip["plan"], animation)
        canvas, plan = put_on_canvas(read, clip["size"], planned, picture, canvas_size, animation)
        kept = {"caption": clip["caption"], "index": clip["index"]}
        if animation.render == "host":
            return kept | {"frames": render_clip(canvas, plan, animation.image_size)}
        return kept | {"canvas": canvas, "plan": plan}

    return film


class Filmed(NamedTuple):
    """One clip, as NumPy arrays: canvas uint8 [S, S, 3]; plan, in fractions of it.

    windows: the plan in pixels of the pictures. picture: int32 [V], the one that each window sees.
    """

    canvas: np.ndarray
    plan: ShotPlan
    windows: ShotPlan
    picture: np.ndarray


def film_pictures(
    pictures: Sequence[np.ndarray], animation: AnimationConfig, seed: int, canvas_size: int
) -> Filmed:
    """Films decoded pictures uint8 [H, W, 3]: one, or two where the animation has scenes."""
    draws = noise(seed, tf.constant(0, tf.int64), 1)
    size = tf.constant([picture.shape[:2] for picture in pictures], tf.int32)
    windows, picture = tf.nest.map_structure(
        lambda part: part[0], direct(draws, size[None], animation)
    )

    def read(picture: int, region: tf.Tensor) -> tf.Tensor:
        y, x, height, width = region.numpy()
        return tf.constant(pictures[picture][y : y + height, x : x + width])

    canvas, plan = put_on_canvas(read, size, windows, picture, canvas_size, animation)
    filmed = Filmed(canvas, plan, windows, picture)
    return tf.nest.map_structure(lambda part: part.numpy(), filmed)


def put_on_canvas(
    read: Callable[[int, tf.Tensor], tf.Tensor],
    size: tf.Tensor,
    plan: ShotPlan,
    picture: tf.Tensor,
    canvas_size: int,
    animation: AnimationConfig,
) -> tuple[tf.Tensor, ShotPlan]:
    """The canvas uint8 [S, S, 3] that a clip sees, and its plan in fractions of that.

    Args:
      read: from a picture's number and a region to its pixels. size: int32 [P, 2], the pictures'.
      plan: in pixels. picture: int32 [V], the one that each window sees.
    """

    def one() -> tuple[tf.Tensor, ShotPlan]:
        region = smallest_region(plan, size[0])
        return to_canvas(read(0, region), canvas_size, canvas_size), on_canvas(plan, region)

    def two() -> tuple[tf.Tensor, ShotPlan]:
        halves, plans = [], []
        for number, rows in enumerate(scenes.heights(canvas_size)):
            seen = _windows_of(plan, picture == number)
            region = smallest_region(seen, size[number])
            halves.append(to_canvas(read(number, region), rows, canvas_size))
            plans.append(on_canvas(plan, region))
        both = scenes.plan_on_halves(plans[0], plans[1], picture, canvas_size)
        return scenes.on_halves(halves[0], halves[1]), both

    if not animation.is_on("scenes"):
        return one()
    return tf.cond(tf.reduce_any(picture == 1), two, one)


def picture_size(encoded: tf.Tensor) -> tf.Tensor:
    """(height, width) of an encoded picture, int32 [2], from the header where it is a JPEG."""
    return tf.cond(
        _is_jpeg(encoded),
        lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.shape(_decode(encoded))[:2],
    )


def smallest_region(plan: ShotPlan, size: tf.Tensor) -> tf.Tensor:
    """The whole pixels of a picture of `size` (height, width) that a plan's windows see.

    plan: in pixels, boxes [V, 4]. Returns int32 [4], (y, x, height, width).
    """
    beyond = 0.5 * tf.abs(plan.shear)  # the corners of a rolled window
    low = tf.reduce_min(plan.boxes[:, :2] - beyond, axis=0)
    high = tf.reduce_max(plan.boxes[:, 2:] + beyond, axis=0)
    # The windows are inside the picture: the limits take away rounding only.
    first = tf.maximum(tf.cast(tf.floor(low), tf.int32), 0)
    last = tf.minimum(tf.cast(tf.math.ceil(high), tf.int32), size)
    return tf.concat([first, last - first], axis=0)


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


def to_canvas(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Stretches uint8 [H, W, 3] to uint8 [height, width, 3], anti-aliased where it shrinks much."""
    size = [height, width]
    # The renderer anti-aliases what it shrinks. Up to 1.5 pixels to one, two taps lose less (2 dB
    # more PSNR against the whole picture, benchmarks/canvas_loss.py), at a sixth of the cost.
    resized = tf.cond(
        tf.reduce_any(2 * tf.shape(pixels)[:2] > 3 * tf.constant(size)),
        lambda: tf.image.resize(pixels, size, antialias=True),
        lambda: tf.image.resize(pixels, size),
    )
    canvas = tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
    return tf.ensure_shape(canvas, [height, width, 3])


def on_canvas(plan: ShotPlan, region: tf.Tensor) -> ShotPlan:
    """A plan in pixels of the picture -> in fractions of the region."""
    region = tf.cast(region, tf.float32)
    origin, extent = tf.tile(region[:2], [2]), tf.tile(region[2:], [2])
    return plan._replace(
        # The region holds the windows: the clip takes away rounding only.
        boxes=tf.clip_by_value((plan.boxes - origin) / extent, 0.0, 1.0),
        shear=plan.shear / region[2:],
        smear=plan.smear / extent,
    )


def _pack(plan: ShotPlan, picture: tf.Tensor) -> tf.Tensor:
    """A batch of plans as float32 [B, N].

    `Dataset.unbatch` copies every part of every clip by itself, and TensorFlow 2.21's dies of parts
    without elements, such as the transitions of a preset that has none.
    """
    parts = [tf.cast(part, tf.float32) for part in (*plan, picture)]
    return tf.concat([tf.reshape(part, [tf.shape(part)[0], -1]) for part in parts], axis=1)


def _unpack(packed: tf.Tensor, animation: AnimationConfig) -> tuple[ShotPlan, tf.Tensor]:
    """One clip's float32 [N] -> its plan, and the picture that each window sees."""
    T, K = animation.num_frames, most_overlap(animation)
    V = T + K
    shapes = ShotPlan([V, 4], [V, 2], [V], [V, 4], [K], [K, 3], [T], [T])
    sizes = [math.prod(shape) for shape in shapes]
    *parts, picture = tf.split(packed, [*sizes, V])
    plan = ShotPlan(*(tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)))
    return plan._replace(at=tf.cast(plan.at, tf.int32)), tf.cast(picture, tf.int32)


def _windows_of(plan: ShotPlan, kept: tf.Tensor) -> ShotPlan:
    """The windows alone, of those that are kept, bool [V]."""
    return plan._replace(
        boxes=tf.boolean_mask(plan.boxes, kept), shear=tf.boolean_mask(plan.shear, kept)
    )


def _is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.equal(tf.strings.substr(encoded, 0, len(JPEG_START)), JPEG_START)


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    """PNG or GIF (its first frame): uint8 [H, W, 3]."""
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, 3])
