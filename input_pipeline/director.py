"""The director: (seed, position) -> where the camera looks in each frame of a clip (TensorFlow).

Each shooting component is one function from its own random draws and its part of the config to its
part of the plan, for a whole batch at once: draws float32 [B, S, DRAWS] in [0, 1), S shots a clip.
`direct` puts the parts together. A component more is a config class, a function and a name here.

Only + - * / and comparisons, which round alike wherever a clip stands in a batch: TensorFlow's exp
and its like do not, so that a plan would depend on how many processes share the batch.
"""

from __future__ import annotations

import hashlib

import tensorflow as tf

from animclip_jax.animation.config import (
    PRESETS,
    AnimationConfig,
    Cut,
    Framing,
    Pan,
    Tilt,
    Zoom,
)

# The host's part is TensorFlow's, the accelerator JAX's: TensorFlow would take all its memory.
tf.config.set_visible_devices([], "GPU")

# The shots a clip has at most, and the random numbers that a component may use for each.
SHOTS, DRAWS = 2, 4
# Rows of the noise. Each is drawn from its name, so a name more leaves the others' as they are.
COMPONENTS = ("framing", "pan", "tilt", "zoom", "speed", "cut")


def stream_key(seed: int, name: str) -> int:
    """A 63-bit key of its own for each (seed, name), the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def noise(seed: int, position: tf.Tensor) -> tf.Tensor:
    """The random numbers of one clip: uniforms in [0, 1), float32 [len(COMPONENTS), SHOTS, DRAWS].

    They depend on (seed, position, a component's name) alone. position: int64 scalar, the clip's
    number in the whole run.
    """
    position = tf.cast(position, tf.int64)
    draws = [
        tf.random.stateless_uniform(
            [SHOTS, DRAWS], tf.stack([stream_key(seed, name), position]), alg="philox"
        )
        for name in COMPONENTS
    ]
    return tf.stack(draws)


def framing(draws: tf.Tensor, config: Framing) -> tuple[tf.Tensor, tf.Tensor]:
    """-> (shot size [B, S], share of the short side; start [B, S, 2] (y, x), share of the room)."""
    on = draws[..., 0] < config.probability
    shot_size = tf.where(on, _between(draws[..., 1], config.shot_size), 1.0)
    start = tf.where(on[..., None], _between(draws[..., 2:4], config.start), 0.5)
    return shot_size, start


def pan(draws: tf.Tensor, config: Pan) -> tf.Tensor:
    """-> [B, S], signed widths of the frame per clip, to the right."""
    return _signed(draws, config.probability, config.travel)


def tilt(draws: tf.Tensor, config: Tilt) -> tf.Tensor:
    """-> [B, S], signed heights of the frame per clip, downwards."""
    return _signed(draws, config.probability, config.travel)


def zoom(draws: tf.Tensor, config: Zoom) -> tf.Tensor:
    """-> [B, S], what a clip adds to the magnification, of 1 where widest; negative zooms out."""
    low, high = config.ratio
    return _signed(draws, config.probability, (low - 1.0, high - 1.0))


def speed(draws: tf.Tensor, elapsed: tf.Tensor) -> tf.Tensor:
    """-> [B, S, T], the share of a shot's movement done by then: steady, or easing in and out.

    elapsed: [B, S, T], the share of the shot's time that has passed, 0 to 1.
    """
    eased = elapsed * elapsed * (3.0 - 2.0 * elapsed)
    return tf.where(draws[..., 0, None] < 0.5, elapsed, eased)


def cut(draws: tf.Tensor, config: Cut, num_frames: int) -> tf.Tensor:
    """-> int32 [B], the frame from which on the second shot is seen; num_frames: never."""
    first = draws[:, 0]
    frame = tf.cast(_between(first[:, 1], config.when) * num_frames, tf.int32)
    on = first[:, 0] < config.probability
    return tf.where(on, tf.clip_by_value(frame, min(1, num_frames), num_frames), num_frames)


def direct(noise: tf.Tensor, size: tf.Tensor, config: AnimationConfig) -> tf.Tensor:
    """Films a batch of pictures.

    Args:
      noise: float32 [B, len(COMPONENTS), SHOTS, DRAWS], of `noise`.
      size: int32 [B, 2], the pictures' (height, width) in pixels.

    Returns:
      Windows float32 [B, T, 4], (y0, x0, y1, x1) in pixels of the picture: square, inside it.
    """
    on = PRESETS[config.preset]
    draws = {name: noise[:, n] for n, name in enumerate(COMPONENTS)}
    still = tf.zeros_like(noise[:, 0, :, 0])
    T = config.num_frames

    shot_size, start = tf.ones_like(still), tf.fill(tf.shape(noise[:, 0, :, :2]), 0.5)
    if "framing" in on:
        shot_size, start = framing(draws["framing"], config.framing)
    travel_x = pan(draws["pan"], config.pan) if "pan" in on else still
    travel_y = tilt(draws["tilt"], config.tilt) if "tilt" in on else still
    gain = zoom(draws["zoom"], config.zoom) if "zoom" in on else still
    second = tf.fill(tf.shape(still)[:1], T)
    if "cut" in on:
        second = cut(draws["cut"], config.cut, T)

    # Each shot lasts from its first frame to its last; speeds are per clip, so that a short shot
    # moves less far. A clip of one frame has no duration.
    first_frame = tf.stack([tf.zeros_like(second), second], axis=1)
    last_frame = tf.stack([second - 1, tf.fill(tf.shape(second), T - 1)], axis=1)
    frames = tf.cast(last_frame - first_frame, tf.float32)
    share = tf.maximum(frames, 0.0) / max(T - 1, 1)
    since = tf.cast(tf.range(T)[None, None, :] - first_frame[:, :, None], tf.float32)
    elapsed = tf.clip_by_value(since / tf.maximum(frames, 1.0)[:, :, None], 0.0, 1.0)
    done = speed(draws["speed"], elapsed)

    travel = tf.stack([travel_y, travel_x], axis=-1) * share[..., None]
    windows = _windows(size, shot_size, start, travel, gain * share, done)
    in_second = tf.range(T)[None, :] >= second[:, None]
    return tf.where(in_second[..., None], windows[:, 1], windows[:, 0])


def _windows(
    size: tf.Tensor,
    shot_size: tf.Tensor,
    start: tf.Tensor,
    travel: tf.Tensor,
    gain: tf.Tensor,
    done: tf.Tensor,
) -> tf.Tensor:
    """Windows [B, S, T, 4] of every shot, in pixels.

    The magnification changes steadily and the centre moves on a straight line. The window's side,
    widest / magnification, lies below the straight line between its ends, so a window that is
    inside the picture at both ends of the shot is inside throughout.
    """
    size = tf.cast(size, tf.float32)[:, None, :]
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
    path = centre[..., None, :] + step[..., None, :] * done[..., None]

    half = 0.5 * side[..., None]
    low, high = path - half, path + half
    # Rounding alone can leave the picture, by a thousandth of a pixel.
    return tf.concat([tf.maximum(low, 0.0), tf.minimum(high, size[..., None, :])], axis=-1)


def _between(uniform: tf.Tensor, ends: tuple[float, float]) -> tf.Tensor:
    return ends[0] + uniform * (ends[1] - ends[0])


def _signed(draws: tf.Tensor, probability: float, ends: tuple[float, float]) -> tf.Tensor:
    """[B, S]: a size between the ends and a direction, or 0 where the component is off."""
    amount = _between(draws[..., 1], ends) * tf.where(draws[..., 2] < 0.5, -1.0, 1.0)
    return tf.where(draws[..., 0] < probability, amount, 0.0)
