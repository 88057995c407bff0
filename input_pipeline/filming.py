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

JPEG_START, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"

# Pixels of an edge that are repeated beyond it: the renderer's filters reach no further.
EDGE = 8

# A clip on its way through the pipeline, or a batch of them: names -> tensors.
Clip = dict[str, tf.Tensor]


def plan_batch(animation: AnimationConfig, canvas_size: int) -> Callable[[Clip], Clip]:
    """A function from a batch of clips to the same with plans in place of the noise.

    Pictures are not needed yet, only their sizes: the many small ops cost as much for one clip. A
    clip's region is found here too, but where there may be two pictures.
    """

    def plan(clips: Clip) -> Clip:
        plan, picture = direct(clips["noise"], clips["size"], animation)
        clips = {name: value for name, value in clips.items() if name != "noise"}
        if animation.is_on("scenes"):
            return clips | {"plan": _pack(plan, picture)}
        region = smallest_region(plan, clips["size"][:, 0])
        placed = on_canvas(plan, region, canvas_size, canvas_size)
        return clips | {"plan": _pack(placed, picture), "region": region}

    return plan


def film_clip(
    animation: AnimationConfig,
    canvas_size: int,
    read: Callable[[Clip, int, tf.Tensor], tf.Tensor],
) -> Callable[[Clip], Clip]:
    """A function from a planned clip to what leaves the pipeline.

    That is canvas and plan, or where the host renders frames uint8 [T, O, O, 3]; caption and index.
    read: from a clip, a picture's number in it and a region to the region's pixels.
    """

    def film(clip: Clip) -> Clip:
        planned, picture = _unpack(clip["plan"], animation)
        if "region" in clip:
            pixels = read(clip, 0, clip["region"])
            canvas, plan = to_canvas(pixels, canvas_size, canvas_size), planned
        else:
            canvas, plan = put_on_canvas(
                lambda number, region: read(clip, number, region),
                clip["size"],
                planned,
                picture,
                canvas_size,
                animation,
            )
        kept = {"caption": clip["caption"], "index": clip["index"][0]}
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
        canvas = to_canvas(read(0, region), canvas_size, canvas_size)
        return canvas, on_canvas(plan, region, canvas_size, canvas_size)

    def two() -> tuple[tf.Tensor, ShotPlan]:
        halves, plans = [], []
        for number, rows in enumerate(scenes.heights(canvas_size)):
            seen = _windows_of(plan, picture == number)
            region = smallest_region(seen, size[number])
            halves.append(to_canvas(read(number, region), rows, canvas_size))
            plans.append(on_canvas(plan, region, rows, canvas_size))
        both = scenes.plan_on_halves(plans[0], plans[1], picture, canvas_size)
        return scenes.on_halves(halves[0], halves[1]), both

    if not animation.is_on("scenes"):
        return one()
    return tf.cond(tf.reduce_any(picture == 1), two, one)


def smallest_region(plan: ShotPlan, size: tf.Tensor) -> tf.Tensor:
    """The whole pixels of a picture of `size` (height, width) [..., 2] that a plan's windows see.

    plan: in pixels, boxes [..., V, 4]. Returns int32 [..., 4], (y, x, height, width).
    """
    beyond = 0.5 * tf.abs(plan.shear)  # the corners of a rolled window
    low = tf.reduce_min(plan.boxes[..., :2] - beyond, axis=-2)
    high = tf.reduce_max(plan.boxes[..., 2:] + beyond, axis=-2)
    # The windows are inside the picture: the limits take away rounding only.
    first = tf.maximum(tf.cast(tf.floor(low), tf.int32), 0)
    last = tf.minimum(tf.cast(tf.math.ceil(high), tf.int32), size)
    return tf.concat([first, last - first], axis=-1)


def decode_region(encoded: tf.Tensor, region: tf.Tensor) -> tf.Tensor:
    """Pixels uint8 [height, width, 3] of a region; of a whole JPEG no more than that is decoded.

    One that is cut short raises InvalidArgumentError, wherever the region is.
    """

    def crop() -> tf.Tensor:
        y, x, height, width = tf.unstack(region)
        return _decode(encoded)[y : y + height, x : x + width]

    starts = tf.equal(tf.strings.substr(encoded, 0, len(JPEG_START)), JPEG_START)
    ends = tf.equal(tf.strings.substr(encoded, -len(JPEG_END), len(JPEG_END)), JPEG_END)
    return tf.cond(
        starts & ends,
        lambda: tf.image.decode_and_crop_jpeg(encoded, region, channels=3),
        crop,
    )


def to_canvas(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Puts uint8 [H, W, 3] into uint8 [height, width, 3], at its top left, pixel for pixel.

    A side that is longer than the canvas is shrunk to it, anti-aliased. What is left is black, but
    for a strip that repeats the edge, so that no filter of the renderer's sees the black.
    """
    size = tf.minimum(tf.shape(pixels)[:2], [height, width])
    pixels = tf.cond(
        tf.reduce_any(tf.shape(pixels)[:2] > size),
        lambda: _shrunk(pixels, size),
        lambda: pixels,
    )
    pixels = _filled(pixels, width, axis=1)
    return tf.ensure_shape(_filled(pixels, height, axis=0), [height, width, 3])


def on_canvas(plan: ShotPlan, region: tf.Tensor, height: int, width: int) -> ShotPlan:
    """A plan in pixels of the picture -> in fractions of the canvas that holds the region [..., 4].

    height, width: the canvas's.
    """
    region = tf.cast(region, tf.float32)[..., None, :]
    # A shorter side keeps its pixels, a longer one is shrunk to the canvas.
    side = tf.maximum(region[..., 2:], tf.constant([height, width], tf.float32))
    origin = tf.concat([region[..., :2]] * 2, axis=-1)
    extent = tf.concat([side] * 2, axis=-1)
    return plan._replace(
        # The region holds the windows: the clip takes away rounding only.
        boxes=tf.clip_by_value((plan.boxes - origin) / extent, 0.0, 1.0),
        shear=plan.shear / side,
        smear=plan.smear / extent,
    )


def _shrunk(pixels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Pixels made of `size`, anti-aliased where they shrink much.

    The renderer anti-aliases what it shrinks. Up to 1.5 pixels to one, two taps lose less (2 dB
    more PSNR against the whole picture, benchmarks/canvas_loss.py), at a sixth of the cost.
    """
    resized = tf.cond(
        tf.reduce_any(2 * tf.shape(pixels)[:2] > 3 * size),
        lambda: tf.image.resize(pixels, size, antialias=True),
        lambda: tf.image.resize(pixels, size),
    )
    return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)


def _filled(pixels: tf.Tensor, length: int, axis: int) -> tf.Tensor:
    """Pixels [H, W, 3] made `length` long: the edge repeated some times, then black."""
    shape = tf.shape(pixels)
    missing = length - shape[axis]
    strip = tf.minimum(missing, EDGE)
    edge = pixels[-1:] if axis == 0 else pixels[:, -1:]
    ones = tf.one_hot(axis, 3, on_value=strip, off_value=1)
    rest = tf.tensor_scatter_nd_update(shape, [[axis]], [missing - strip])
    return tf.concat([pixels, tf.tile(edge, ones), tf.zeros(rest, tf.uint8)], axis=axis)


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


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    """A whole picture, the first frame of a GIF or WebP: uint8 [H, W, 3]."""
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(pixels, [None, None, 3])
