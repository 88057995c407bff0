"""How a thing moves across the frame: places are (y, x), from -1/2 at its top or left to 1/2."""

from __future__ import annotations

from typing import NamedTuple

from animclip_jax.animation.components import Parallax, Thing
from animclip_jax.animation.config import MOTIONS, AnimationConfig
from input_pipeline.director.draws import between, of_clip
from input_pipeline.tensorflow_on_cpu import tf

# The number of each motion; 0 is none.
CODES = {name: number for number, name in enumerate(MOTIONS, 1)}
# Frames that a hop takes at least.
FRAMES_A_HOP = 4
# What is outside is so by this much of the way.
_OUTSIDE = 1.02


def drawn(draws: dict[str, tf.Tensor], config: AnimationConfig) -> tf.Tensor:
    """int32 [B], the motion that each clip's thing has: the first that is drawn; 0 where none."""
    none = tf.zeros_like(draws["thing"][:, 0, 0], tf.int32)
    if not config.thing_frames:
        return none

    def on(name: str) -> tf.Tensor:
        found = draws[name][:, 0, 0] < getattr(config, name).probability
        return found if config.is_on(name) else tf.zeros_like(found)

    motion = none
    for name in reversed(MOTIONS):
        # Near and far differ by the way of the camera alone.
        is_on = on(name) & (on("pan") | on("tilt")) if name == "parallax" else on(name)
        motion = tf.where(is_on, CODES[name], motion)
    return tf.where(on("thing"), motion, none)


def far(draws: tf.Tensor, config: Parallax, motion: tf.Tensor, done: tf.Tensor) -> tf.Tensor:
    """The movement that the far part of a picture sees, of that of the near part, [B, S, T].

    Both are on the same path, and together in the middle of it.
    """
    depth = between(of_clip(draws)[:, 1], config.depth)
    depth = tf.where(motion == CODES["parallax"], depth, 0.0)
    return 0.5 + (done - 0.5) / (1.0 + depth)[:, None, None]


def camera_holds(draws: tf.Tensor, config: Thing, motion: tf.Tensor) -> tf.Tensor:
    """bool [B], the clips in which the camera neither pans, tilts nor zooms: a thing moves."""
    return (of_clip(draws)[:, 9] < config.still) & (motion > 0) & ~one_of(motion, "parallax")


class Way(NamedTuple):
    """How things move across the frame, and what they do there.

    first, last: [B, 2] (y, x), where the middle is. growth: [B, 2], the size at first and at last.
    turn: [B], degrees clockwise. hop: [B], a height in sides of the frame. hops: [B], how many.
    """

    first: tf.Tensor
    last: tf.Tensor
    growth: tf.Tensor
    turn: tf.Tensor
    hop: tf.Tensor
    hops: tf.Tensor


def ways(
    draws: dict[str, tf.Tensor],
    config: AnimationConfig,
    motion: tf.Tensor,
    radius: tf.Tensor,
    camera: tf.Tensor,
    known: tf.Tensor,
) -> Way:
    """How each clip's thing moves, and where: inside the frame, unless it comes or goes.

    radius, camera: [B, 2] (y, x), the thing's radii and the way of the camera, in sides of the
    frame. known: [B, 2], where the thing is cut out, NaN where that is to be drawn.
    """
    each = tf.stack([of_clip(draws[name]) for name in MOTIONS], axis=1)
    row = tf.gather(each, tf.maximum(motion - 1, 0), batch_dims=1)
    sign = tf.where(row[:, 2] < 0.5, -1.0, 1.0)
    upright = one_of(motion, "slide", "enter", "leave") & (row[:, 3] < config.thing.upright)
    towards = tf.stack([tf.where(upright, sign, 0.0), tf.where(upright, 0.0, sign)], axis=1)

    def where_it_is(name: str, ends: tuple[float, float], number: int = 1) -> tf.Tensor:
        return tf.where(one_of(motion, name), between(row[:, number], ends), 0.0)

    ratio = tf.maximum(where_it_is("grow", config.grow.ratio), 1.0)
    turn = where_it_is("turn", config.turn.turn)
    hop = where_it_is("bounce", config.bounce.height, 4)
    travel = where_it_is("slide", config.slide.travel) + where_it_is("bounce", config.bounce.travel)
    # It moves across the scene and across the frame in one direction, whatever the camera does.
    against = tf.maximum(-tf.reduce_sum(camera * towards, axis=1), 0.0)
    step = towards * tf.where(travel > 0, travel + against, 0.0)[:, None]

    # Its longer radius, however it or the camera is turned.
    widest = tf.reduce_max(radius, axis=1, keepdims=True) * ratio[:, None]
    room = tf.maximum(0.5 - widest, 0.0)
    step, hop = tf.clip_by_value(step, -2.0 * room, 2.0 * room), tf.minimum(hop, 2.0 * room[:, 0])
    low = tf.maximum(-room, -room - step) + tf.stack([hop, tf.zeros_like(hop)], axis=1)
    high = tf.minimum(room, room - step)
    drawn_place = of_clip(draws["thing"])
    middle = 0.5 * (drawn_place[:, 4:6] + drawn_place[:, 6:8])
    place = low + between(middle, config.thing.place) * (high - low)
    place = tf.where(known == known, known, place)
    step = tf.clip_by_value(step, tf.minimum(-room - place, 0.0), tf.maximum(room - place, 0.0))
    hop = tf.minimum(hop, tf.maximum(place[:, 0] + room[:, 0], 0.0))

    outside = towards * (0.5 + radius) * _OUTSIDE
    comes, goes = one_of(motion, "enter", "pass_by"), one_of(motion, "leave", "pass_by")
    one = tf.ones_like(ratio)
    sizes = [tf.where(sign > 0, *pair) for pair in ((one, ratio), (ratio, one))]
    most = max(config.num_frames // FRAMES_A_HOP, 1)
    hops = tf.floor(between(row[:, 5], config.bounce.hops))
    return Way(
        first=tf.where(comes[:, None] & (towards != 0.0), -outside, place),
        last=tf.where(goes[:, None] & (towards != 0.0), outside, place + step),
        growth=tf.stack(sizes, axis=1),
        turn=turn * sign,
        hop=hop,
        hops=tf.clip_by_value(hops, 1.0, float(most)),
    )


def one_of(motion: tf.Tensor, *names: str) -> tf.Tensor:
    """bool [B], the clips whose thing moves in one of these ways."""
    return tf.reduce_any(motion[:, None] == [CODES[name] for name in names], axis=1)
