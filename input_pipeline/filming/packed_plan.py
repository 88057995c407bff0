"""A ShotPlan as one row of numbers, the form in which it goes through tf.data.

Fewer parts cost less, and `Dataset.unbatch` of TensorFlow 2.21 dies of parts without elements, such
as the transitions of a preset that has none.
"""

from __future__ import annotations

import math

import numpy as np

from animclip_jax.animation.config import AnimationConfig
from animclip_jax.animation.plan import ShotPlan, part_shapes
from input_pipeline.tensorflow_on_cpu import tf


def pack(plan: ShotPlan, picture: tf.Tensor) -> tf.Tensor:
    """A plan with any leading axes, and the picture that each window sees -> float32 [..., N]."""
    lead = tf.shape(picture)[:-1]
    axes = len(picture.shape) - 1
    flat = [
        tf.reshape(tf.cast(part, tf.float32), tf.concat([lead, [math.prod(part.shape[axes:])]], 0))
        for part in (*plan, picture)
    ]
    return tf.concat(flat, axis=-1)


def unpack(packed: tf.Tensor, animation: AnimationConfig) -> tuple[ShotPlan, tf.Tensor]:
    """float32 [..., N] -> the plan, and the picture that each window sees, int32 [..., V].

    The leading axes are static.
    """
    sizes, shapes = _layout(packed, animation)
    *parts, picture = map(tf.reshape, tf.split(packed, sizes, axis=-1), shapes)
    plan = ShotPlan(*parts)
    return plan._replace(at=tf.cast(plan.at, tf.int32)), tf.cast(picture, tf.int32)


def as_arrays(packed: np.ndarray, animation: AnimationConfig) -> ShotPlan:
    """float32 [..., N] -> the plan, outside of tf.data, where ops of TensorFlow would cost more."""
    sizes, shapes = _layout(packed, animation)
    *parts, _ = map(np.reshape, np.split(packed, np.cumsum(sizes)[:-1], axis=-1), shapes)
    plan = ShotPlan(*parts)
    return plan._replace(at=plan.at.astype(np.int32))


def _layout(
    packed: tf.Tensor | np.ndarray, animation: AnimationConfig
) -> tuple[list[int], list[list[int]]]:
    """The size and the shape of each part of a row: those of the plan, then the picture."""
    T, K = animation.num_frames, animation.most_overlap
    shapes = [*part_shapes(T, K, animation.thing_frames), (T + K,)]
    return [*map(math.prod, shapes)], [[*packed.shape[:-1], *shape] for shape in shapes]
