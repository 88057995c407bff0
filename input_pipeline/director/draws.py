"""The random numbers of a clip, a row for each component, and what components make of them."""

from __future__ import annotations

import hashlib

from animclip_jax.animation.config import COMPONENTS
from input_pipeline.tensorflow_on_cpu import tf

# The host's part is TensorFlow's, the accelerator JAX's: TensorFlow would take all its memory.

# The shots a clip has at most, and the random numbers that a component may use for each.
SHOTS, DRAWS = 3, 4
# By a component's name its random numbers, float32 [B, SHOTS, DRAWS], uniform in [0, 1).
Draws = dict[str, tf.Tensor]


def stream_key(seed: int, name: str) -> int:
    """A 63-bit key of its own for each (seed, name), the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def noise(seed: int, first: tf.Tensor, count: tf.Tensor | int) -> Draws:
    """The random numbers of clips first, first + 1, ... for every component.

    Those of a clip depend on (seed, its number in the whole run, a component's name) alone: adding
    a name leaves the others' as they are. first: int64 scalar. In a graph, a component that is off
    draws nothing.
    """
    return {name: row(seed, name, first, count) for name in COMPONENTS}


def row(seed: int, name: str, first: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """One component's part of `noise`, float32 [count, SHOTS, DRAWS].

    Clips that follow each other take what follows each other in one Philox stream, four numbers a
    count: one op for a batch, where one for each clip would cost half of a picture's decoding.
    """
    counter = tf.cast(first, tf.uint64) * (SHOTS * DRAWS // 4)
    return tf.raw_ops.StatelessRandomUniformV2(
        shape=[count, SHOTS, DRAWS],
        key=tf.constant([stream_key(seed, name)], tf.uint64),
        counter=tf.stack([counter, tf.constant(0, tf.uint64)]),
        alg=1,  # Philox
    )


def of_clip(draws: tf.Tensor) -> tf.Tensor:
    """[B, SHOTS, DRAWS] -> [B, SHOTS x DRAWS], for what is drawn once a clip."""
    return tf.reshape(draws, [-1, SHOTS * DRAWS])


def between(uniform: tf.Tensor, ends: tuple[float, float]) -> tf.Tensor:
    """From [0, 1) to [ends[0], ends[1])."""
    return ends[0] + uniform * (ends[1] - ends[0])


def amount(draws: tf.Tensor, probability: float, ends: tuple[float, float]) -> tf.Tensor:
    """[..., DRAWS] -> [...]: a size between the ends, or 0 where the component is off."""
    return tf.where(draws[..., 0] < probability, between(draws[..., 1], ends), 0.0)


def signed(draws: tf.Tensor, probability: float, ends: tuple[float, float]) -> tf.Tensor:
    """As `amount`, with a direction."""
    return amount(draws, probability, ends) * tf.where(draws[..., 2] < 0.5, -1.0, 1.0)


def smooth(x: tf.Tensor) -> tf.Tensor:
    """Slow at both ends: 0 to 1 as x goes from 0 to 1, and flat outside."""
    x = tf.clip_by_value(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
