"""Clips of two pictures: how their captions are joined, and how one canvas holds both."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from animclip_jax.animation.components import Scenes
from animclip_jax.animation.plan import ShotPlan
from input_pipeline.director import shots, stream_key
from input_pipeline.director.draws import row

Clip = dict[str, tf.Tensor]


def load_second(
    load: Callable[[tf.Tensor], Clip], num_examples: int, seed: int, config: Scenes
) -> Callable[[tf.Tensor], Clip]:
    """A function from a position (int64) to what `load` gives, with a second picture.

    Clips of two scenes get that of another example of the same epoch, and a joint caption; the
    others their own once more. load: gives "encoded" [1], "size" [1, 2] and "caption".
    """
    key = stream_key(seed, "second scene")

    def load_two(position: tf.Tensor) -> Clip:
        clip = load(position)

        def another() -> tuple[tf.Tensor, ...]:
            epoch, place = position // num_examples, position % num_examples
            count = tf.constant(max(num_examples - 1, 1), tf.int64)
            away = tf.random.stateless_uniform(
                [], tf.stack([key, position]), 0, count, tf.int64, alg="philox"
            )
            then = load(epoch * num_examples + (place + 1 + away) % num_examples)
            words = join_captions(clip["caption"], then["caption"])
            return then["encoded"], then["size"], words

        encoded, size, caption = tf.cond(
            shots.scenes(row(seed, "scenes", position, 1), config)[0],
            another,
            lambda: (clip["encoded"], clip["size"], clip["caption"]),
        )
        return clip | {
            "encoded": tf.concat([clip["encoded"], encoded], axis=0),
            "size": tf.concat([clip["size"], size], axis=0),
            "caption": caption,
        }

    return load_two


def join_captions(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """ "A dog runs." and "a cat sleeps." -> "A dog runs, then a cat sleeps."."""
    return tf.strings.join([tf.strings.regex_replace(first, r"[\s.]+$", ""), ", then ", second])


def _guard(canvas_size: int) -> int:
    """Rows that repeat an edge, so that no blur mixes the pictures."""
    return max(1, canvas_size // 64)


def heights(canvas_size: int) -> tuple[int, int]:
    """The rows of the upper and of the lower picture."""
    upper, guard = canvas_size // 2, _guard(canvas_size)
    return upper - guard, canvas_size - upper - guard


def on_halves(upper: tf.Tensor, lower: tf.Tensor) -> tf.Tensor:
    """Two pictures of those heights, uint8 [., S, 3] -> the canvas uint8 [S, S, 3]."""
    guard = _guard(upper.shape[1])
    parts = [upper, *[upper[-1:]] * guard, *[lower[:1]] * guard, lower]
    return tf.concat(parts, axis=0)


def plan_on_halves(
    upper: ShotPlan, lower: ShotPlan, picture: tf.Tensor, canvas_size: int
) -> ShotPlan:
    """Plans in fractions of each picture -> one in fractions of the canvas.

    picture: int32 [V], which of the two each window sees.
    """
    rows = heights(canvas_size)
    placed = [
        _in_rows(upper, 0, rows[0], canvas_size),
        _in_rows(lower, canvas_size - rows[1], rows[1], canvas_size),
    ]
    in_lower = (picture == 1)[:, None]
    chosen = {
        name: tf.where(in_lower, getattr(placed[1], name), getattr(placed[0], name))
        for name in ("boxes", "shear", "smear")
    }
    return upper._replace(**chosen)


def _in_rows(plan: ShotPlan, first: int, count: int, canvas_size: int) -> ShotPlan:
    """A plan in fractions of a picture that is `count` rows of the canvas, from `first` on."""
    down, start = count / canvas_size, first / canvas_size
    scale = tf.constant([down, 1.0, down, 1.0])
    return plan._replace(
        boxes=plan.boxes * scale + tf.constant([start, 0.0, start, 0.0]),
        shear=plan.shear * scale[:2],
        smear=plan.smear * scale,
    )
