"""A thing that moves: the canvas without it, where it is in a frame, and what it covers there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from animclip_jax.animation.plan import ShotPlan


class Pivot(NamedTuple):
    """What stays where it is when lines are sheared: a column and a row.

    A sheared canvas has room for the pixels around them. Of a thing's window that must be the
    thing, for the middle of the window can be far outside.

    Attributes:
      x: float32 [...], the column, a fraction of the canvas.
      v: float32 [...], the row of the frame, -1/2 at its top to 1/2.
    """

    x: jax.Array
    v: jax.Array


def windows(plan: ShotPlan) -> ShotPlan:
    """The windows through which a plan's things are seen, in the place of the camera's."""
    return plan._replace(
        boxes=plan.thing_boxes,
        shear=plan.thing_shear,
        smear=plan.thing_smear,
        blur=plan.blur[..., : plan.thing_boxes.shape[-2]],
    )


def pivot(plan: ShotPlan) -> Pivot:
    """The middle of each thing, float32 [..., T]."""
    y0, x0, y1, x1 = (plan.thing_boxes[..., i] for i in range(4))
    down, right = (plan.thing_shear[..., i] for i in range(2))
    y, x = (plan.home[..., i, None] for i in range(2))
    height, width = y1 - y0, x1 - x0
    away = width * (y - 0.5 * (y0 + y1)) - down * (x - 0.5 * (x0 + x1))
    return Pivot(jnp.broadcast_to(x, y0.shape), away / (height * width - down * right))


def filled(canvas: jax.Array, home: jax.Array, fill: jax.Array) -> jax.Array:
    """A canvas [S, S, 3] where pixels from beside a home [5] take its place: float32, up to 255."""
    height, width = canvas.shape[:2]
    y = (jnp.arange(height, dtype=jnp.float32)[:, None] + 0.5) / height
    x = (jnp.arange(width, dtype=jnp.float32)[None, :] + 0.5) / width
    share = _share(y, x, home)
    beside = canvas
    for axis, size in enumerate((height, width)):
        beside = jnp.roll(beside, -jnp.round(fill[axis] * size).astype(jnp.int32), axis)
    there = canvas.astype(jnp.float32)
    return there + share[..., None] * (beside.astype(jnp.float32) - there)


def shares(plan: ShotPlan, image_size: int) -> jax.Array:
    """How much of each pixel of a clip's frames its thing covers: float32 [T, O, O]."""
    place = (jnp.arange(image_size, dtype=jnp.float32) + 0.5) / image_size - 0.5
    y0, x0, y1, x1 = (plan.thing_boxes[:, i, None, None] for i in range(4))
    down, right = (plan.thing_shear[:, i, None, None] for i in range(2))
    v, u = place[:, None], place[None, :]
    y = 0.5 * (y0 + y1) + (y1 - y0) * v + down * u
    x = 0.5 * (x0 + x1) + (x1 - x0) * u + right * v
    return _share(y, x, plan.home)


def _share(y: jax.Array, x: jax.Array, home: jax.Array) -> jax.Array:
    """How much of each place of the canvas belongs to a home: 0 on its edge, 1 inside the rim."""
    distance = jnp.sqrt(((y - home[0]) / home[2]) ** 2 + ((x - home[1]) / home[3]) ** 2)
    return jnp.clip((1.0 - distance) / home[4], 0.0, 1.0)
