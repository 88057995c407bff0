"""When frames are taken, and how a movement goes on in time."""

from __future__ import annotations

from animclip_jax.animation.components import Acceleration, Sampling, Speed
from input_pipeline.director.draws import amount, of_clip, signed, smooth
from input_pipeline.tensorflow_on_cpu import tf


def speed(draws: tf.Tensor, config: Speed, elapsed: tf.Tensor) -> tf.Tensor:
    """-> [B, S, T], the share of a shot's movement done by then: steady, or easing in and out.

    elapsed: [B, S, T], the share of the shot's time that has passed, 0 to 1.
    """
    steady = draws[..., 0, None] < 1.0 - config.probability
    return tf.where(steady, elapsed, smooth(elapsed))


def acceleration(draws: tf.Tensor, config: Acceleration, elapsed: tf.Tensor) -> tf.Tensor:
    """-> [B, S, T], the share done by then at a speed that changes steadily."""
    change = signed(draws, config.probability, config.change)[..., None]
    return elapsed + change * (elapsed * elapsed - elapsed)


def sampling(draws: tf.Tensor, config: Sampling, num_frames: int) -> tf.Tensor:
    """-> [B, T], when each frame is taken, in frames: 0 to T - 1, about evenly or jittered.

    A random start and a random step, modulo 1, scatter the times enough for any T.
    """
    row = of_clip(draws)
    jitter = amount(row, config.probability, config.jitter)[:, None]
    frame = tf.range(num_frames, dtype=tf.float32)[None, :]
    scattered = row[:, 2, None] + row[:, 3, None] * frame
    scattered = scattered - tf.floor(scattered)
    return tf.clip_by_value(frame + jitter * (scattered - 0.5), 0.0, num_frames - 1.0)
