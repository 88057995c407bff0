"""How a clip is made of shots: cuts, what overlaps and what hides them, another picture."""

from __future__ import annotations

import math

from animclip_jax.animation.components import Cut, Dissolve, Fade, Scenes, Wipe
from input_pipeline.director.draws import amount, between, of_clip
from input_pipeline.tensorflow_on_cpu import tf


def cut(draws: tf.Tensor, config: Cut, num_frames: int, forced: tf.Tensor) -> tf.Tensor:
    """-> int32 [B, 2], the frames from which the second and third shots are seen; T: never.

    forced: bool [B], clips that need a second shot.
    """
    T = num_frames
    on = draws[..., 0] < config.probability
    frame = tf.cast(between(draws[:, 0, 1], config.when) * T, tf.int32)
    second = tf.where(on[:, 0] | forced, tf.clip_by_value(frame, min(1, T), T), T)
    left = T - second
    frame = tf.cast(between(draws[:, 1, 1], config.when) * tf.cast(left, tf.float32), tf.int32)
    third = tf.where(on[:, 1], second + tf.clip_by_value(frame, tf.minimum(1, left), left), T)
    return tf.stack([second, third], axis=1)


def scenes(draws: tf.Tensor, config: Scenes) -> tf.Tensor:
    """-> bool [B], clips that show a second picture from the first cut on."""
    return draws[:, 0, 0] < config.probability


def dissolve(draws: tf.Tensor, config: Dissolve, num_frames: int) -> tf.Tensor:
    """-> int32 [B], the frames of the second shot that the first one still overlaps."""
    return _duration(draws, config, num_frames)


def wipe(draws: tf.Tensor, config: Wipe, num_frames: int) -> tuple[tf.Tensor, ...]:
    """-> (frames int32 [B], direction [B, 2] (down, right), softness [B], share of the frame).

    The new shot comes in that direction.
    """
    row = of_clip(draws)
    sign = tf.where(row[:, 2] < 0.5, -1.0, 1.0)
    down = row[:, 3] < 0.5
    direction = tf.stack([tf.where(down, sign, 0.0), tf.where(down, 0.0, sign)], axis=-1)
    softness = between(row[:, 4], config.softness)
    return _duration(draws, config, num_frames), direction, softness


def fade(
    draws: tf.Tensor, config: Fade, num_frames: int, second: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """-> (what is left of the picture [B, T], 0 to 1; what takes its place [B], 0 black, 1 white).

    second: int32 [B], the first frame of the second shot; T: there is no cut and no fade.
    """
    row = of_clip(draws)
    half = 0.5 * num_frames * amount(row, config.probability, config.duration)
    half = tf.where(second < num_frames, half, 0.0)[:, None]
    frame = tf.range(num_frames, dtype=tf.float32)[None, :]
    distance = tf.abs(frame + 0.5 - tf.cast(second, tf.float32)[:, None])
    left = tf.where(half > 0.5, tf.clip_by_value((distance - 0.5) / half, 0.0, 1.0), 1.0)
    return left, tf.where(row[:, 2] < 0.5, 0.0, 1.0)


def outgoing_share(
    frames: tf.Tensor, most: int, direction: tf.Tensor, softness: tf.Tensor
) -> tf.Tensor:
    """-> [B, most, 3], `ShotPlan.mix` of the first shot in each frame that it overlaps.

    frames: int32 [B]. direction: [B, 2], 0 for a dissolve. softness: [B].
    """
    place = tf.range(most, dtype=tf.float32)[None, :]
    count = tf.cast(frames, tf.float32)[:, None]
    done = (place + 1.0) / (count + 1.0)
    wiped = tf.reduce_any(direction != 0.0, axis=-1)[:, None]
    # A wipe's edge goes from one side of the frame to the other, at -1/2 and 1/2.
    middle = tf.where(wiped, 0.5 - (done - 0.5) / softness[:, None], 1.0 - done)
    growth = tf.tile((direction / softness[:, None])[:, None, :], [1, most, 1])
    mix = tf.concat([middle[..., None], growth], axis=-1)
    return tf.where((place < count)[..., None], mix, 0.0)


def _duration(draws: tf.Tensor, config: Dissolve | Wipe, num_frames: int) -> tf.Tensor:
    on = draws[:, 0, 0] < config.probability
    frames = tf.cast(between(draws[:, 0, 1], config.duration) * num_frames + 0.5, tf.int32)
    most = math.ceil(config.duration[1] * num_frames)
    return tf.where(on, tf.clip_by_value(frames, min(1, most), most), 0)
