"""What the lens and the shutter do."""

from __future__ import annotations

import math

from animclip_jax.animation.components import Exposure, Focus, MotionBlur
from input_pipeline.director.draws import amount, of_clip, signed, smooth
from input_pipeline.tensorflow_on_cpu import tf

# A triangle of half-width w spreads as a disc of diameter w / 0.61 does: equal variances.
TRIANGLE_OF_DISC = math.sqrt(6.0) / 4.0
# Pictures are stored with about this exponent, so light times 2 is a level times 2 ** (1 / 2.2).
GAMMA = 2.2


def focus(draws: tf.Tensor, config: Focus, share_of_clip: tf.Tensor) -> tf.Tensor:
    """-> [B, T], `ShotPlan.blur`. share_of_clip: [B, T], the time of each frame, 0 to 1."""
    row = of_clip(draws)
    worst = TRIANGLE_OF_DISC * amount(row, config.probability, config.circle)[:, None]
    into = 1.0 - smooth(2.0 * share_of_clip)
    out_of = smooth(2.0 * share_of_clip - 1.0)
    return worst * tf.where(row[:, 2, None] < 0.5, into, out_of)


def exposure(draws: tf.Tensor, config: Exposure, share_of_clip: tf.Tensor) -> tf.Tensor:
    """-> [B, T], what levels are multiplied by: 1 at a random time of the clip."""
    row = of_clip(draws)
    drift = signed(row, config.probability, config.drift)[:, None]
    stops = drift * (share_of_clip - row[:, 3, None])
    x = stops * (math.log(2.0) / GAMMA)
    # exp(x), to 0.0003 within 3 stops.
    return (1.0 + 0.5 * x + x * x / 12.0) / (1.0 - 0.5 * x + x * x / 12.0)


def motion_blur(draws: tf.Tensor, config: MotionBlur) -> tf.Tensor:
    """-> [B], the share of the time between two frames that the shutter is open."""
    return amount(of_clip(draws), config.probability, config.shutter)
