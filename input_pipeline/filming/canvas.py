"""How a clip is filmed in the pipeline: the part of the picture that it sees, and its plan.

TensorFlow ops alone, so that all of it runs inside Dataset.map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline.director import captions, direct, noise, siblings, told
from input_pipeline.filming import packed_plan, two_pictures
from input_pipeline.filming.aside import aside
from input_pipeline.filming.rendering import render_clip
from input_pipeline.tensorflow_on_cpu import tf

# A clip on its way through the pipeline, or a batch of them: names -> tensors.
Clip = dict[str, tf.Tensor]


def plan_batch(animation: AnimationConfig, canvas_size: int) -> Callable[[Clip], Clip]:
    """A function from a batch of clips to the same with plans in place of the noise.

    They have one caption then, and some are others of the batch backwards (`siblings.paired`).
    Pictures are not needed yet, only their sizes: the many small ops cost as much for one clip. A
    clip's region is found here too, but where there may be two pictures.
    """

    def plan(clips: Clip) -> Clip:
        plan, picture, moves = direct(clips["draws"], clips["size"], animation, clips.get("box"))
        two, row = tf.reduce_any(picture == 1, axis=1), clips["told"]
        spoken = captions.of_clips(clips["captions"], two, row, moves, animation.told)
        kept = {name: clips[name] for name in ("index", "frame", "size", "turn")}
        if animation.told.siblings:
            clips, plan, picture = siblings.paired(kept, plan, picture, spoken, clips["sibling_of"])
        else:
            number = clips["index"][:, 0]
            clips = kept | {"caption": spoken.forwards, "said": spoken.axes, "number": number}
        if animation.is_on("scenes"):
            return clips | {"plan": packed_plan.pack(plan, picture)}
        region = smallest_region(plan, clips["size"][:, 0])
        placed = on_canvas(plan, region, canvas_size, canvas_size)
        return clips | {"plan": packed_plan.pack(placed, picture), "region": region}

    return plan


def film_clip(
    animation: AnimationConfig,
    canvas_size: int,
    read: Callable[[Clip, int, tf.Tensor], tf.Tensor],
) -> Callable[[Clip], Clip]:
    """A function from a planned clip to what leaves the pipeline.

    That is the canvas, as much of it as holds the picture, and the packed plan, or where the host
    renders frames uint8 [T, O, O, 3]; caption and index.
    read: from a clip, a picture's number in it and a region to the region's pixels.
    """

    def film(clip: Clip) -> Clip:
        packed = clip["plan"]
        if "region" in clip:
            canvas = fitted(read(clip, 0, clip["region"]), canvas_size, canvas_size)
        else:
            plan, picture = packed_plan.unpack(packed, animation)
            canvas, plan = put_on_canvas(
                lambda number, region: read(clip, number, region),
                clip["size"],
                plan,
                picture,
                canvas_size,
                animation,
            )
            packed = packed_plan.pack(plan, picture)
        kept = _kept(clip)
        if animation.render == "host":
            plan, _ = packed_plan.unpack(packed, animation)
            canvas = edge_repeated(canvas, canvas_size, canvas_size)
            return kept | {"frames": render_clip(canvas, plan, animation.image_size)}
        return kept | {"canvas": canvas, "plan": packed}

    return film


def show_footage(
    animation: AnimationConfig, whole: bool, read: Callable[[Clip, int, tf.Tensor], tf.Tensor]
) -> Callable[[Clip], Clip]:
    """A function from a planned clip to frames uint8 [T, O, O, 3], caption and index.

    whole: of the whole picture, made square; else of the clip's region, which is. read: from a
    clip, 0 and a region to the region's pixels uint8 [T, h, w, 3].
    """
    size = [animation.image_size] * 2

    def show(clip: Clip) -> Clip:
        region = tf.concat([[0, 0], clip["size"][0]], 0) if whole else clip["region"]
        frames = resized(read(clip, 0, region), size)
        return _kept(clip) | {"frames": frames}

    return show


def _kept(clip: Clip) -> Clip:
    """A clip's caption and what `Batch` says of it."""
    return {"caption": clip["caption"], "index": clip["number"], "told": clip["said"]}


class Filmed(NamedTuple):
    """One clip, as NumPy arrays: canvas uint8 [S, S, 3], filled; plan, in fractions of it.

    windows: the plan in pixels of the pictures. picture: int32 [V], the one that each window sees.
    told: what a caption may say of its motion and of that backwards, in UTF-8, "" for nothing.
    """

    canvas: np.ndarray
    plan: ShotPlan
    windows: ShotPlan
    picture: np.ndarray
    told: tuple[bytes, bytes]


def film_pictures(
    pictures: Sequence[np.ndarray], animation: AnimationConfig, seed: int, canvas_size: int
) -> Filmed:
    """Films decoded pictures uint8 [H, W, 3]: one, or two where the animation has scenes."""
    draws = noise(seed, tf.constant(0, tf.int64), 1)
    size = tf.constant([picture.shape[:2] for picture in pictures], tf.int32)
    directed = direct(draws, size[None], animation)
    windows, picture = tf.nest.map_structure(lambda part: part[0], directed[:2])
    always = dataclasses.replace(animation.told, probability=1.0)
    clause = told.phrase(told.draw(seed, tf.constant(0, tf.int64), 1), directed[2], always)

    def read(picture: int, region: tf.Tensor) -> tf.Tensor:
        y, x, height, width = region.numpy()
        return tf.constant(pictures[picture][y : y + height, x : x + width])

    canvas, plan = put_on_canvas(read, size, windows, picture, canvas_size, animation)
    canvas = edge_repeated(canvas, canvas_size, canvas_size)
    clauses = clause.forwards.finite[0], clause.backwards.finite[0]
    filmed = Filmed(canvas, plan, windows, picture, clauses)
    return tf.nest.map_structure(lambda part: part.numpy(), filmed)


def put_on_canvas(
    read: Callable[[int, tf.Tensor], tf.Tensor],
    size: tf.Tensor,
    plan: ShotPlan,
    picture: tf.Tensor,
    canvas_size: int,
    animation: AnimationConfig,
) -> tuple[tf.Tensor, ShotPlan]:
    """What a clip sees of a canvas uint8 [S, S, 3], and its plan in fractions of that.

    One picture is at the canvas's top left, and only as much is given as it covers.

    Args:
      read: from a picture's number and a region to its pixels. size: int32 [P, 2], the pictures'.
      plan: in pixels. picture: int32 [V], the one that each window sees.
    """

    def one() -> tuple[tf.Tensor, ShotPlan]:
        region = smallest_region(plan, size[0])
        canvas = fitted(read(0, region), canvas_size, canvas_size)
        return canvas, on_canvas(plan, region, canvas_size, canvas_size)

    def two() -> tuple[tf.Tensor, ShotPlan]:
        halves, plans = [], []
        for number, rows in enumerate(two_pictures.heights(canvas_size)):
            seen = _windows_of(plan, picture == number)
            region = smallest_region(seen, size[number])
            pixels = fitted(read(number, region), rows, canvas_size)
            halves.append(edge_repeated(pixels, rows, canvas_size))
            plans.append(on_canvas(plan, region, rows, canvas_size))
        both = two_pictures.plan_on_halves(plans[0], plans[1], picture, canvas_size)
        return two_pictures.on_halves(halves[0], halves[1]), both

    if not animation.is_on("scenes"):
        return one()
    return tf.cond(tf.reduce_any(picture == 1), two, one)


def smallest_region(plan: ShotPlan, size: tf.Tensor) -> tf.Tensor:
    """The whole pixels of a picture of `size` (height, width) [..., 2] that a plan's windows see.

    And those of its thing, and those that fill its place. plan: in pixels, boxes [..., V, 4].
    Returns int32 [..., 4], (y, x, height, width).
    """
    area = _hull(plan.boxes, plan.shear)
    if plan.thing_boxes.shape[-2]:
        area = _with_thing(area, plan)
    # The windows are inside the picture: the limits take away rounding only. Of what is needed for
    # a thing they take away what is hidden.
    first = tf.maximum(tf.cast(tf.floor(area[..., :2]), tf.int32), 0)
    last = tf.minimum(tf.cast(tf.math.ceil(area[..., 2:]), tf.int32), size)
    return tf.concat([first, last - first], axis=-1)


def _hull(boxes: tf.Tensor, shear: tf.Tensor) -> tf.Tensor:
    """The smallest box [..., 4] around windows [..., V, 4] with the corners of rolled ones."""
    beyond = 0.5 * tf.abs(shear)
    low, high = boxes[..., :2] - beyond, boxes[..., 2:] + beyond
    return tf.concat([tf.reduce_min(low, axis=-2), tf.reduce_max(high, axis=-2)], axis=-1)


def _with_thing(area: tf.Tensor, plan: ShotPlan) -> tf.Tensor:
    """A box [..., 4] made wider by what is seen in a plan's thing, and what fills its place."""
    middle, radius = plan.home[..., :2], plan.home[..., 2:4]
    # Its windows show nothing outside of its home.
    seen = _hull(plan.thing_boxes, plan.thing_shear)
    low = tf.maximum(seen[..., :2], middle - radius)
    high = tf.minimum(seen[..., 2:], middle + radius)
    fills = tf.reduce_any(plan.fill != 0.0, axis=-1, keepdims=True)
    beside = middle + plan.fill
    low = tf.where(fills, tf.minimum(low, beside - radius), low)
    high = tf.where(fills, tf.maximum(high, beside + radius), high)
    wider_area = tf.concat(
        [tf.minimum(area[..., :2], low), tf.maximum(area[..., 2:], high)], axis=-1
    )
    return tf.where(plan.has_thing[..., None], wider_area, area)


def fitted(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Pixels uint8 [h, w, 3] as they are put on a canvas of height x width.

    As they are where they fit; a side that is longer is shrunk to the canvas's, anti-aliased.
    """
    most = tf.constant([height, width])
    return tf.cond(
        tf.reduce_any(tf.shape(pixels)[:2] > most),
        lambda: _shrunk(pixels, most),
        lambda: pixels,
    )


def edge_repeated(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Pixels uint8 [h, w, 3] -> the canvas uint8 [height, width, 3], as the renderer fills it."""
    rows = tf.minimum(tf.range(height), tf.shape(pixels)[0] - 1)
    columns = tf.minimum(tf.range(width), tf.shape(pixels)[1] - 1)
    return tf.gather(tf.gather(pixels, rows), columns, axis=1)


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
        extent=tf.minimum(region[..., 0, 2:] / tf.constant([height, width], tf.float32), 1.0),
        **_thing_on_canvas(plan, origin, extent),
    )


def _thing_on_canvas(plan: ShotPlan, origin: tf.Tensor, extent: tf.Tensor) -> dict[str, tf.Tensor]:
    """The parts of a plan that say what moves. origin, extent: [..., 1, 4], (y, x, y, x)."""
    if not plan.thing_boxes.shape[-2]:
        return {}
    middle, radius, rim = tf.split(plan.home, [2, 2, 1], axis=-1)
    corner, side = origin[..., 0, :2], extent[..., 0, :2]
    return {
        "home": tf.concat([(middle - corner) / side, radius / side, rim], axis=-1),
        "fill": plan.fill / side,
        "thing_boxes": (plan.thing_boxes - origin) / extent,
        "thing_shear": plan.thing_shear / extent[..., :2],
        "thing_smear": plan.thing_smear / extent,
    }


@aside
def _shrunk(pixels: tf.Tensor, most: tf.Tensor) -> tf.Tensor:
    """Pixels whose sides are at most so long, anti-aliased where they shrink much.

    The renderer anti-aliases what it shrinks. Up to 1.5 pixels to one, two taps lose less (2 dB
    more PSNR against the whole picture, benchmarks/canvas_loss.py), at a sixth of the cost.
    """
    size = tf.minimum(tf.shape(pixels)[:2], most)
    return tf.cond(
        tf.reduce_any(2 * tf.shape(pixels)[:2] > 3 * size),
        lambda: resized(pixels, size),
        lambda: resized(pixels, size, antialias=False),
    )


def resized(pixels: tf.Tensor, size: Sequence[int], antialias: bool = True) -> tf.Tensor:
    """Pixels uint8 [..., h, w, 3] made of `size`, (height, width), by linear interpolation."""
    found = tf.image.resize(pixels, size, antialias=antialias)
    return tf.cast(tf.round(tf.clip_by_value(found, 0.0, 255.0)), tf.uint8)


def _windows_of(plan: ShotPlan, kept: tf.Tensor) -> ShotPlan:
    """The windows alone, of those that are kept, bool [V]."""
    return plan._replace(
        boxes=tf.boolean_mask(plan.boxes, kept), shear=tf.boolean_mask(plan.shear, kept)
    )
