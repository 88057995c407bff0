"""From the components' parts to a plan."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan
from input_pipeline.director import movement, moves, optics, shots, things, timing
from input_pipeline.director.cut_outs import Thing, cut_out
from input_pipeline.director.draws import SHOTS, Draws
from input_pipeline.director.windows import Views, inside, paths, smears, views, windows
from input_pipeline.tensorflow_on_cpu import tf


class Schedule(NamedTuple):
    """When what is seen.

    time: [B, T], when each frame is taken, in frames. first: int32 [B, SHOTS], the first frame of
    each shot, T where there is none. overlap: int32 [B], the frames of the second shot in which the
    first is still seen. elapsed: [B, SHOTS, T], the share of a shot's time that has passed.
    share: [B, SHOTS], the part of the clip that a shot lasts, for speeds are per clip.
    """

    time: tf.Tensor
    first: tf.Tensor
    overlap: tf.Tensor
    elapsed: tf.Tensor
    share: tf.Tensor


class Seen(NamedTuple):
    """What the camera sees in every shot, [B, SHOTS, T, ...].

    near: of the nearest part of the picture; the same as `views` except with parallax. done: the
    share of the movement, 0 to 1.
    """

    views: Views
    near: Views
    done: tf.Tensor

    @property
    def first_shot(self) -> Seen:
        """[B, T, ...]."""
        return tf.nest.map_structure(lambda part: part[:, 0], self)


def two_scenes(draws: Draws, config: AnimationConfig) -> tf.Tensor:
    """bool [B], the clips that show a second picture."""
    on = shots.scenes(draws["scenes"], config.scenes)
    return on & (things.drawn(draws, config) == 0) if config.is_on("scenes") else on & False


def direct(
    draws: Draws, size: tf.Tensor, config: AnimationConfig, box: tf.Tensor | None = None
) -> tuple[ShotPlan, tf.Tensor, moves.Moves]:
    """Films a batch of clips.

    Args:
      draws: of `noise`.
      size: int32 [B, P, 2], (height, width) in pixels of the pictures of each clip: one, or two
        where the config has scenes.
      box: float32 [B, 4], (y0, x0, y1, x1) in pixels of the first picture, around what its caption
        speaks of. That is what moves, if a thing does. NaN where it is not known.

    Returns:
      A ShotPlan in pixels of the pictures; the windows are square and inside them. Which picture
      each window sees, int32 [B, V]. And what moves, as the frames show it.
    """
    T, K = config.num_frames, config.most_overlap
    motion, second_picture = things.drawn(draws, config), two_scenes(draws, config)
    schedule, mix = _schedule(draws, config, second_picture, motion > 0)
    # Of each shot; where a clip has one picture alone, that.
    picture = tf.cast(second_picture[:, None] & (tf.range(SHOTS) > 0), tf.int32)
    picture_size = tf.cast(tf.gather(size, picture, batch_dims=1), tf.float32)
    seen = _seen(draws, config, schedule, picture_size, motion)
    boxes, shear = windows(seen.views)
    boxes = inside(boxes, picture_size)
    shutter = tf.zeros_like(schedule.time[:, 0])
    if config.is_on("motion_blur"):
        shutter = optics.motion_blur(draws["motion_blur"], config.motion_blur)
    thing = _thing(draws, config, motion, seen, picture_size, box)
    blur, gain, offset = _lens(draws, config, schedule)
    at = _overlapped(schedule, K, T)

    shot = tf.reduce_sum(
        tf.cast(tf.range(T)[None, :, None] >= schedule.first[:, None, 1:], tf.int32), axis=-1
    )
    overlapped = tf.minimum(at, T - 1)
    pick = functools.partial(_by_window, shot, overlapped)
    everywhere = tf.tile(picture[:, :, None], [1, 1, T])
    plan = ShotPlan(
        boxes=pick(boxes),
        shear=pick(shear),
        blur=tf.concat([blur, tf.gather(blur, overlapped, batch_dims=1)], axis=1),
        smear=pick(smears(boxes, shutter)),
        at=at,
        mix=mix,
        gain=gain,
        offset=offset,
        extent=tf.cast(size[:, 0], tf.float32),
        **_thing_parts(thing, seen, shutter),
    )
    is_plain = (schedule.overlap == 0) & ~second_picture & ~_fades(draws, config)
    moved = moves.camera(plan.boxes[:, :T], plan.shear[:, :T], schedule.first, is_plain)
    if thing is not None:
        moved = moves.with_thing(moved, thing, seen.first_shot.views)
    return plan, pick(everywhere), moved


def _by_window(shot: tf.Tensor, overlapped: tf.Tensor, of_shots: tf.Tensor) -> tf.Tensor:
    """[B, SHOTS, T, ...] -> [B, V, ...], by what each window sees.

    shot: int32 [B, T], of each frame. overlapped: int32 [B, K], the frames in which the first shot
    is seen beside another.
    """
    frames = of_shots[:, 0]
    for n in range(1, SHOTS):
        # The condition gets an axis of 1 for every axis that follows T.
        now = tf.reshape(shot == n, [-1, shot.shape[1]] + [1] * (len(of_shots.shape) - 3))
        frames = tf.where(now, of_shots[:, n], frames)
    return tf.concat([frames, tf.gather(of_shots[:, 0], overlapped, batch_dims=1)], axis=1)


def _schedule(
    draws: Draws, config: AnimationConfig, second_picture: tf.Tensor, one_shot: tf.Tensor
) -> tuple[Schedule, tf.Tensor]:
    """The shots' times, and `ShotPlan.mix`.

    second_picture: bool [B], clips that need a cut. one_shot: bool [B], clips that may have none.
    """
    T, K = config.num_frames, config.most_overlap
    never = tf.zeros_like(second_picture, tf.int32) + T
    time = tf.cast(tf.zeros_like(never), tf.float32)[:, None] + tf.range(T, dtype=tf.float32)
    if config.is_on("sampling"):
        time = timing.sampling(draws["sampling"], config.sampling, T)
    later = tf.stack([never, never], axis=1)
    if config.is_on("cut") or config.is_on("scenes"):
        later = shots.cut(draws["cut"], config.cut, T, second_picture)
        later = tf.where(one_shot[:, None], T, later)

    overlap = tf.zeros_like(never)
    direction, softness = tf.zeros([tf.shape(never)[0], 2]), tf.ones_like(time[:, 0])
    if config.is_on("wipe"):
        overlap, direction, softness = shots.wipe(draws["wipe"], config.wipe, T)
    if config.is_on("dissolve"):
        frames = shots.dissolve(draws["dissolve"], config.dissolve, T)
        direction = tf.where((frames > 0)[:, None], 0.0, direction)
        overlap = tf.where(frames > 0, frames, overlap)
    overlap = tf.minimum(overlap, later[:, 1] - later[:, 0])
    mix = shots.outgoing_share(overlap, K, direction, softness)

    # Each shot lasts from its first frame to its last; a clip of one frame has no duration.
    first = tf.concat([tf.zeros_like(never)[:, None], later], axis=1)
    last = tf.concat([later, never[:, None]], axis=1) - 1
    last = last + tf.stack([overlap, tf.zeros_like(overlap), tf.zeros_like(overlap)], axis=1)
    frames = tf.cast(last - first, tf.float32)
    since = time[:, None, :] - tf.cast(first, tf.float32)[:, :, None]
    elapsed = tf.clip_by_value(since / tf.maximum(frames, 1.0)[:, :, None], 0.0, 1.0)
    share = tf.maximum(frames, 0.0) / max(T - 1, 1)
    return Schedule(time, first, overlap, elapsed, share), mix


def _seen(
    draws: Draws,
    config: AnimationConfig,
    schedule: Schedule,
    size: tf.Tensor,
    motion: tf.Tensor,
) -> Seen:
    """What every shot sees in every frame.

    size: float32 [B, S, 2], of the picture that each shot sees. motion: int32 [B], the things'.
    """
    still, share = tf.zeros_like(schedule.share), schedule.share
    shot_size, start = still + 1.0, tf.stack([still, still], axis=-1) + 0.5
    if config.is_on("framing"):
        shot_size, start = movement.framing(draws["framing"], config.framing)
    travel_x = movement.pan(draws["pan"], config.pan) if config.is_on("pan") else still
    travel_y = movement.tilt(draws["tilt"], config.tilt) if config.is_on("tilt") else still
    gain = movement.zoom(draws["zoom"], config.zoom) if config.is_on("zoom") else still
    if config.thing_frames:
        holds = things.camera_holds(draws["thing"], config.thing, motion)[:, None]
        travel_x, travel_y, gain = (
            tf.where(holds, still, moved) for moved in (travel_x, travel_y, gain)
        )
    turn, level = still, still
    if config.is_on("roll"):
        turn, level = movement.roll(draws["roll"], config.roll)
    done = schedule.elapsed
    if config.is_on("acceleration"):
        done = timing.acceleration(draws["acceleration"], config.acceleration, done)
    if config.is_on("speed"):
        done = timing.speed(draws["speed"], config.speed, done)
    sway = None
    if config.is_on("shake"):
        share_of_clip = schedule.time / max(config.num_frames - 1, 1)
        sway = movement.shake(draws["shake"], config.shake, share_of_clip)

    travel = tf.stack([travel_y, travel_x], axis=-1) * share[..., None]
    turn = turn * share
    most_angle = tf.abs(turn) * tf.maximum(level, 1.0 - level)
    angle = turn[..., None] * (done - level[..., None])

    def seen(done: tf.Tensor) -> Views:
        centre, side = paths(size, shot_size, start, travel, gain * share, done)
        return views(centre, side, most_angle, angle, sway)

    near = far = seen(done)
    if config.thing_frames and config.is_on("parallax"):
        far = seen(things.far(draws["parallax"], config.parallax, motion, done))
    return Seen(far, near, done)


def _thing(
    draws: Draws,
    config: AnimationConfig,
    motion: tf.Tensor,
    seen: Seen,
    size: tf.Tensor,
    box: tf.Tensor | None,
) -> Thing | None:
    """What moves, where the config has such things. size: float32 [B, S, 2]."""
    if not config.thing_frames:
        return None
    if box is None:
        box = tf.tile(tf.zeros_like(size[:, 0]), [1, 2]) * math.nan
    shot = seen.first_shot
    return cut_out(draws, config, motion, shot.views, shot.done, size[:, 0], box)


def _thing_parts(thing: Thing | None, seen: Seen, shutter: tf.Tensor) -> dict[str, tf.Tensor]:
    """The parts of a `ShotPlan` that say what moves."""
    if thing is None:
        none = tf.zeros_like(shutter)[:, None][:, :0]
        shapes = {"thing_boxes": 4, "thing_shear": 2, "thing_smear": 4}
        empty = {name: tf.zeros([tf.shape(none)[0], 0, size]) for name, size in shapes.items()}
        return {"home": none, "fill": none, **empty}
    boxes, shear = thing.windows(seen.first_shot.near)
    return {
        "home": tf.concat([thing.middle, thing.radius, thing.rim[:, None]], axis=1),
        "fill": thing.fill,
        "thing_boxes": boxes,
        "thing_shear": shear,
        "thing_smear": smears(boxes[:, None], shutter)[:, 0],
    }


def _lens(
    draws: Draws, config: AnimationConfig, schedule: Schedule
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`ShotPlan.blur` of the frames, `gain` and `offset`: each [B, T]."""
    T = config.num_frames
    share_of_clip = schedule.time / max(T - 1, 1)
    blur, offset = tf.zeros_like(share_of_clip), tf.zeros_like(share_of_clip)
    gain = tf.ones_like(share_of_clip)
    if config.is_on("focus"):
        blur = optics.focus(draws["focus"], config.focus, share_of_clip)
    if config.is_on("exposure"):
        gain = optics.exposure(draws["exposure"], config.exposure, share_of_clip)
    if config.is_on("fade"):
        left, level = shots.fade(draws["fade"], config.fade, T, schedule.first[:, 1])
        left = tf.where((schedule.overlap > 0)[:, None], 1.0, left)
        gain, offset = gain * left, (1.0 - left) * level[:, None]
    return blur, gain, offset


def _fades(draws: Draws, config: AnimationConfig) -> tf.Tensor:
    """bool [B], clips whose first cut may be hidden."""
    on = draws["fade"][:, 0, 0] < config.fade.probability
    return on if config.is_on("fade") else tf.zeros_like(on)


def _overlapped(schedule: Schedule, most: int, num_frames: int) -> tf.Tensor:
    """`ShotPlan.at`, int32 [B, most]."""
    place = tf.range(most)[None, :]
    frame = schedule.first[:, 1, None] + place
    return tf.where(place < schedule.overlap[:, None], frame, num_frames)
