"""Clips of two pictures: how one canvas holds both."""

from __future__ import annotations

from animclip_jax.animation.plan import ShotPlan
from input_pipeline.tensorflow_on_cpu import tf


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
    return upper._replace(**chosen, extent=tf.ones_like(upper.extent))


def _in_rows(plan: ShotPlan, first: int, count: int, canvas_size: int) -> ShotPlan:
    """A plan in fractions of a picture that is `count` rows of the canvas, from `first` on."""
    down, start = count / canvas_size, first / canvas_size
    scale = tf.constant([down, 1.0, down, 1.0])
    return plan._replace(
        boxes=plan.boxes * scale + tf.constant([start, 0.0, start, 0.0]),
        shear=plan.shear * scale[:2],
        smear=plan.smear * scale,
    )
