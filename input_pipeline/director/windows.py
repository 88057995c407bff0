"""The geometry of shots: windows that move on a line, and never leave the picture."""

from __future__ import annotations

from typing import NamedTuple

from input_pipeline.director.movement import Sway, rotation
from input_pipeline.tensorflow_on_cpu import tf


class Views(NamedTuple):
    """Squares that the frames see: centre [..., T, 2] (y, x) and side [..., T], in pixels.

    angle: [..., T], degrees clockwise.
    """

    centre: tf.Tensor
    side: tf.Tensor
    angle: tf.Tensor


def paths(
    size: tf.Tensor,
    shot_size: tf.Tensor,
    start: tf.Tensor,
    travel: tf.Tensor,
    gain: tf.Tensor,
    done: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Squares that move inside the picture: (centres [B, S, T, 2], sides [B, S, T]), in pixels.

    The magnification changes steadily and the centre moves on a straight line. The square's side,
    widest / magnification, lies below the straight line between its ends, so a square that is
    inside the picture at both ends of the shot is inside throughout.

    Args:
      size: float32 [B, S, 2], the pictures' (height, width). shot_size, gain: [B, S], as `framing`
        and `zoom` give them. start, travel: [B, S, 2] (y, x), travel in sides of the square.
      done: [B, S, T], the share of the movement, 0 to 1.
    """
    widest = shot_size * tf.reduce_min(size, axis=-1)
    magnification = 1.0 + tf.maximum(-gain, 0.0)
    first_side, last_side = widest / magnification, widest / (magnification + gain)
    side = widest[..., None] / (magnification[..., None] + gain[..., None] * done)

    # Travel is shrunk to the room there is, and the start drawn from what keeps both ends inside.
    room = tf.maximum(size - (0.5 * (first_side + last_side))[..., None], 0.0)
    step = tf.clip_by_value(travel * widest[..., None], -room, room)
    least = tf.maximum(0.5 * first_side[..., None], 0.5 * last_side[..., None] - step)
    most = size - tf.maximum(0.5 * first_side[..., None], 0.5 * last_side[..., None] + step)
    centre = least + start * (most - least)
    return centre[..., None, :] + step[..., None, :] * done[..., None], side


def views(
    centre: tf.Tensor,
    side: tf.Tensor,
    most_angle: tf.Tensor,
    angle: tf.Tensor,
    sway: Sway | None,
) -> Views:
    """What turns and sways inside the squares of `paths`.

    A frame of side f turned by a fits into an upright square of f (cos a + sin a), which grows up
    to 45 degrees; swaying adds its most on either side.

    Args:
      most_angle: [B, S], the most that |angle| can be. angle: [B, S, T], degrees clockwise, without
        what swaying adds.
    """
    if sway is not None:
        most_angle = most_angle + sway.most_turn[:, None]
        angle = angle + sway.path[:, None, :, 2]
    cos, sin = rotation(most_angle)
    spread = cos + sin
    if sway is not None:
        spread = spread + 2.0 * sway.most[:, None]
    side = side / spread[..., None]
    if sway is not None:
        centre = centre + sway.path[:, None, :, :2] * side[..., None]
    return Views(centre, side, angle)


def windows(views: Views) -> tuple[tf.Tensor, tf.Tensor]:
    """The boxes [..., T, 4] and shears [..., T, 2] of a `ShotPlan`, in pixels."""
    cos, sin = rotation(views.angle)
    half = (0.5 * views.side * cos)[..., None]
    boxes = tf.concat([views.centre - half, views.centre + half], axis=-1)
    return boxes, tf.stack([views.side * sin, -views.side * sin], axis=-1)


def inside(boxes: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Boxes [B, S, T, 4] without what rounding leaves outside: a thousandth of a pixel."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return tf.concat([tf.maximum(low, 0.0), tf.minimum(high, size[:, :, None, :])], axis=-1)


def smears(boxes: tf.Tensor, shutter: tf.Tensor) -> tf.Tensor:
    """How far the sides of windows [B, S, T, 4] move while the shutter is open: the same shape.

    shutter: [B], the share of the time between two frames.
    """
    around = tf.concat([boxes[:, :, :1], boxes, boxes[:, :, -1:]], axis=2)
    return 0.5 * shutter[:, None, None, None] * (around[:, :, 2:] - around[:, :, :-2])
