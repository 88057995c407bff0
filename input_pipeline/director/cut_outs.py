"""Where a thing is cut out of the picture, what fills its place, and where it is seen."""

from __future__ import annotations

from typing import NamedTuple

from animclip_jax.animation.config import AnimationConfig
from input_pipeline.director.draws import between, of_clip
from input_pipeline.director.movement import rotation
from input_pipeline.director.things import Way, one_of, ways
from input_pipeline.director.windows import Views, windows
from input_pipeline.tensorflow_on_cpu import tf

# The shorter diameter, a share of the longer one, at least.
THINNEST = 0.6
# The near part of a picture: an ellipse about the middle of the frame's lower side, its radii in
# sides of the frame.
NEAR, NEAR_RIM = (0.5, 0.8), 0.5
# A smaller radius shows nothing, pixels.
LEAST_RADIUS = 2.0
# Of a box that is known, so much must be in the frame, each way.
LEAST_SEEN = 0.5
# Pixels between what is cut out, what fills its place, and the edge of the picture.
_APART = 1.0
# Up, left, down and right (y, x).
_SIDES = ((-1.0, 0.0), (0.0, -1.0), (1.0, 0.0), (0.0, 1.0))


class Thing(NamedTuple):
    """The things of a batch of clips, in pixels of the pictures.

    motion: int32 [B], of `things.CODES`; 0 where the clip has none. middle: [B, 2] (y, x), where it
    is cut out. radius: [B, 2], 0 where there is none. rim: [B], a share of the radius. fill: [B,
    2], as of a `ShotPlan`. place: [B, T, 2], where its middle is. growth: [B, T], its size, of 1
    where it was cut out. angle: [B, T], degrees clockwise. hop: [B, T], sides of the frame that it
    is above its path.
    """

    motion: tf.Tensor
    middle: tf.Tensor
    radius: tf.Tensor
    rim: tf.Tensor
    fill: tf.Tensor
    place: tf.Tensor
    growth: tf.Tensor
    angle: tf.Tensor
    hop: tf.Tensor

    def windows(self, near: Views) -> tuple[tf.Tensor, tf.Tensor]:
        """`ShotPlan.thing_boxes` and `.thing_shear`, in pixels.

        near: what the camera sees of the scene, [B, T, ...], of the near part where there are two.
        """
        cos, sin = rotation(self.angle)
        y, x = tf.unstack(near.centre - self.place, axis=-1)
        back = tf.stack([cos * y - sin * x, sin * y + cos * x], axis=-1) / self.growth[..., None]
        centre = self.middle[:, None] + back
        return windows(Views(centre, near.side / self.growth, near.angle - self.angle))


def cut_out(
    draws: dict[str, tf.Tensor],
    config: AnimationConfig,
    motion: tf.Tensor,
    seen: Views,
    done: tf.Tensor,
    size: tf.Tensor,
    box: tf.Tensor,
) -> Thing:
    """The thing of each clip, of a picture of `size` [B, 2] that the camera sees as `seen`.

    motion: int32 [B], of `things.drawn`; a clip whose thing has no room gets none. done: [B, T],
    the share of the movement. box: [B, 4], (y0, x0, y1, x1) of what the caption is of, NaN where
    that is not known.
    """
    row = of_clip(draws["thing"])
    first, last = at(seen, 0), at(seen, -1)
    side = tf.minimum(first.side, last.side)[:, None]
    travel = (last.centre - first.centre) / tf.maximum(first.side, last.side)[:, None]
    radius, rim = _ellipse(row, config)

    is_last = one_of(motion, "enter")
    home = tf.nest.map_structure(lambda a, b: _where(is_last, a, b), last, first)
    known, known_radius, is_in_frame = _clipped(box, home)
    is_known = known[:, 0] == known[:, 0]
    radius = _where(is_known, known_radius / side, radius)
    way = ways(draws, config, motion, radius, travel, frame_place(home, known))
    start, end = scene_place(first, way.first), scene_place(last, way.last)
    half_way = 0.5 * (start + end)
    stays, middle = one_of(motion, "grow", "turn", "parallax"), _where(is_last, end, start)
    middle = _where(stays | one_of(motion, "pass_by"), half_way, middle)
    middle = _where(is_known, known, middle)
    fill, room = _fill(middle, radius * side, size)
    radius = radius * side * tf.where(is_known, 1.0, tf.minimum(room, 1.0))[:, None]
    fits = tf.where(is_known, is_in_frame & (room >= 1.0), True)

    # The near part of a picture stays where it is; it is seen by another camera.
    is_near = one_of(motion, "parallax")
    fits &= ~(is_near & is_known)
    middle_side = 0.5 * (first.side + last.side)[:, None]
    lower = 0.5 * (first.centre + last.centre) + middle_side * tf.constant([0.5, 0.0])
    middle, radius = _where(is_near, lower, middle), _where(is_near, middle_side * NEAR, radius)
    rim, fill = tf.where(is_near, NEAR_RIM, rim), _where(is_near, tf.zeros_like(fill), fill)
    start, end = _where(stays, middle, start), _where(stays, middle, end)

    fits &= (motion > 0) & (tf.reduce_min(radius, axis=1) >= LEAST_RADIUS)
    return Thing(
        motion=tf.where(fits, motion, 0),
        middle=middle,
        radius=_where(fits, radius, tf.zeros_like(radius)),
        rim=rim,
        fill=fill,
        **_by_frame(way, start, end, side, done),
    )


def _ellipse(row: tf.Tensor, config: AnimationConfig) -> tuple[tf.Tensor, tf.Tensor]:
    """Of a thing drawn at random: its radii [B, 2], in sides of the frame, and its rim [B]."""
    longer, thinner = 0.5 * between(row[:, 1], config.thing.size), between(row[:, 2], (THINNEST, 1))
    shape = tf.stack([tf.ones_like(thinner), thinner], axis=1)
    radius = longer[:, None] * tf.where(row[:, 8, None] < 0.5, shape, tf.reverse(shape, [1]))
    return radius, between(row[:, 3], config.thing.softness)


def _by_frame(
    way: Way, start: tf.Tensor, end: tf.Tensor, side: tf.Tensor, done: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The parts of a `Thing` that change on its way from `start` to `end`, [B, 2] in pixels.

    side: [B, 1], of the frame. done: [B, T].
    """
    gone = (done - done[:, :1]) / tf.maximum(done[:, -1:] - done[:, :1], 1e-3)
    phase = way.hops[:, None] * gone
    phase = phase - tf.floor(phase)
    hop = way.hop[:, None] * 4.0 * phase * (1.0 - phase)
    place = start[:, None] + (end - start)[:, None] * gone[..., None]
    return {
        "place": place - tf.stack([hop * side, tf.zeros_like(hop)], axis=-1),
        "growth": way.growth[:, :1] + (way.growth[:, 1:] - way.growth[:, :1]) * gone,
        "angle": way.turn[:, None] * gone,
        "hop": hop,
    }


def at(seen: Views, frame: int) -> Views:
    """What one frame sees, of [B, T, ...]."""
    return tf.nest.map_structure(lambda part: part[:, frame], seen)


def scene_place(seen: Views, place: tf.Tensor) -> tf.Tensor:
    """From places in frames [..., 2] (y, x), see `things.py`, to pixels of the picture."""
    cos, sin = rotation(seen.angle)
    v, u = tf.unstack(place, axis=-1)
    offset = tf.stack([cos * v + sin * u, cos * u - sin * v], axis=-1)
    return seen.centre + seen.side[..., None] * offset


def frame_place(seen: Views, place: tf.Tensor) -> tf.Tensor:
    """From pixels of the picture [..., 2] (y, x) to places in frames."""
    cos, sin = rotation(seen.angle)
    y, x = tf.unstack(place - seen.centre, axis=-1)
    return tf.stack([cos * y - sin * x, cos * x + sin * y], axis=-1) / seen.side[..., None]


def _clipped(box: tf.Tensor, seen: Views) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The middle and radii [B, 2] of the part of a box in a frame, and whether that is enough."""
    half = 0.5 * seen.side[:, None]
    low = tf.maximum(box[:, :2], seen.centre - half)
    high = tf.minimum(box[:, 2:], seen.centre + half)
    is_enough = high - low >= LEAST_SEEN * (box[:, 2:] - box[:, :2])
    return 0.5 * (low + high), 0.5 * (high - low), tf.reduce_all(is_enough, axis=1)


def _fill(middle: tf.Tensor, radius: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`ShotPlan.fill`, and how many times as large a thing would have room beside itself.

    Its place is filled with pixels from beside it, on the side with the most room.
    """
    reach = tf.concat([radius, radius], axis=1) * 3.0
    room = (tf.concat([middle, size - middle], axis=1) - 2.0 * _APART) / reach
    most = tf.reduce_max(room, axis=1)
    side = tf.gather(_SIDES, tf.argmax(room, axis=1))
    return side * (2.0 * radius * tf.minimum(most, 1.0)[:, None] + _APART), most


def _where(which: tf.Tensor, yes: tf.Tensor, no: tf.Tensor) -> tf.Tensor:
    """tf.where by clip: bool [B], and [B, ...]."""
    return tf.where(tf.reshape(which, [-1] + [1] * (len(yes.shape) - 1)), yes, no)
