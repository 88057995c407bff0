"""Where the camera stands and how it moves; draws float32 [B, SHOTS, DRAWS], S = SHOTS."""

from __future__ import annotations

import math
from typing import NamedTuple

from animclip_jax.animation.components import Framing, Pan, Roll, Shake, Tilt, Zoom
from input_pipeline.director.draws import amount, between, of_clip, signed
from input_pipeline.tensorflow_on_cpu import tf

# Swaying by hand: cycles in a clip, and each one's part of the whole.
CYCLES, PARTS = (0.7, 1.9, 4.3), (0.55, 0.3, 0.15)


def framing(draws: tf.Tensor, config: Framing) -> tuple[tf.Tensor, tf.Tensor]:
    """-> (shot size [B, S], share of the short side; start [B, S, 2] (y, x), share of the room)."""
    on = draws[..., 0] < config.probability
    shot_size = tf.where(on, between(draws[..., 1], config.shot_size), 1.0)
    start = tf.where(on[..., None], between(draws[..., 2:4], config.start), 0.5)
    return shot_size, start


def pan(draws: tf.Tensor, config: Pan) -> tf.Tensor:
    """-> [B, S], signed widths of the frame per clip, to the right."""
    return signed(draws, config.probability, config.travel)


def tilt(draws: tf.Tensor, config: Tilt) -> tf.Tensor:
    """-> [B, S], signed heights of the frame per clip, downwards."""
    return signed(draws, config.probability, config.travel)


def zoom(draws: tf.Tensor, config: Zoom) -> tf.Tensor:
    """-> [B, S], what a clip adds to the magnification, of 1 where widest; negative zooms out."""
    low, high = config.ratio
    return signed(draws, config.probability, (low - 1.0, high - 1.0))


def roll(draws: tf.Tensor, config: Roll) -> tuple[tf.Tensor, tf.Tensor]:
    """-> (signed degrees per clip [B, S], clockwise; when level [B, S], a share of the shot)."""
    return signed(draws, config.probability, config.turn), draws[..., 3]


class Sway(NamedTuple):
    """Shaking: `most` [B] of the offset, and of the angle `most_turn` [B]; path [B, T, 3].

    The path is (y, x) as shares of the frame's side, and degrees; the same for all shots.
    """

    most: tf.Tensor
    most_turn: tf.Tensor
    path: tf.Tensor


def shake(draws: tf.Tensor, config: Shake, share_of_clip: tf.Tensor) -> Sway:
    """Three slow waves of random phases for each of y, x and angle.

    share_of_clip: [B, T], the time of each frame, 0 to 1.
    """
    row = of_clip(draws)
    sway = amount(row, config.probability, config.sway)
    turn = amount(tf.gather(row, [0, 2], axis=1), config.probability, config.turn)
    phases = tf.reshape(row[:, 3:12], [-1, 1, 3, 3])  # of axis and cycle
    cycles = share_of_clip[:, :, None, None] * tf.constant(CYCLES)
    parts = _wave(cycles + phases) * tf.constant(PARTS)
    path = parts[..., 0] + parts[..., 1] + parts[..., 2]
    size = tf.stack([sway, sway, turn], axis=-1)
    return Sway(sway, turn, path * size[:, None, :])


def rotation(degrees: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(cos, sin), their squares adding up to 1; the angle is right to 0.01 degrees below 50."""
    half = degrees * (math.pi / 360.0)
    square = half * half
    tangent = half * (1.0 + square * (1.0 / 3.0 + square * (2.0 / 15.0 + square * 17.0 / 315.0)))
    norm = 1.0 + tangent * tangent
    return (1.0 - tangent * tangent) / norm, 2.0 * tangent / norm


def _wave(phase: tf.Tensor) -> tf.Tensor:
    """A sine made of two parabolas, of period 1 and height 1."""
    phase = phase - tf.floor(phase)
    half = tf.where(phase < 0.5, phase, phase - 0.5)
    arch = 16.0 * half * (0.5 - half)
    return tf.where(phase < 0.5, arch, -arch)
