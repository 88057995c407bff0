"""Where the places of a frame are in the next one: a plan knows it, and no pixel is looked at."""

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.animation.plan import ShotPlan


def places(grid: int) -> np.ndarray:
    """The middles of grid x grid equal parts of a frame, (v, u) from -1/2 at its top or left.

    Returns:
      float32 [grid * grid, 2], row by row.
    """
    along = (np.arange(grid, dtype=np.float32) + 0.5) / grid - 0.5
    return np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)


def flow(plan: ShotPlan, grid: int) -> jax.Array:
    """Where what a frame shows at each of `places(grid)` is in the next frame.

    What the thing of a clip covers goes with the thing, all else with the camera. Behind a cut that
    is where the same part of the picture is seen, be it outside of the frame.

    Args:
      plan: with the leading axis B, of T frames.

    Returns:
      float32 [B, T - 1, grid * grid, 2], (v, u).
    """
    T = plan.gain.shape[1]
    here = jnp.asarray(places(grid))

    def carried(boxes: jax.Array, shear: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Where windows see the places, and where the windows after them do."""
        edges = _edges(boxes[:, :T], shear[:, :T])
        now, then = ([part[:, start:stop] for part in edges] for start, stop in ((0, -1), (1, T)))
        seen = _seen(here, *now)
        return seen, _shown(seen, *then)

    _, moved = carried(plan.boxes, plan.shear)
    if not plan.thing_boxes.shape[1]:
        return moved
    seen, with_thing = carried(plan.thing_boxes, plan.thing_shear)
    home = plan.home[:, None, None]
    radius = jnp.where(home[..., 2:4] > 0, home[..., 2:4], 1.0)
    inside = jnp.sum(((seen - home[..., :2]) / radius) ** 2, axis=-1) < 1.0
    covered = inside & plan.has_thing[:, None, None]
    return jnp.where(covered[..., None], with_thing, moved)


def _edges(boxes: jax.Array, shear: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The middles of windows, and their edges from top to bottom and left to right, [..., 2]."""
    low, high = boxes[..., :2], boxes[..., 2:]
    height, width = jnp.moveaxis(high - low, -1, 0)
    return (
        0.5 * (low + high),
        jnp.stack([height, shear[..., 1]], axis=-1),
        jnp.stack([shear[..., 0], width], axis=-1),
    )


def _seen(place: jax.Array, middle: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """Where the canvas is that windows see at places [N, 2] of a frame: (y, x), [..., N, 2]."""
    v, u = place[:, :1], place[:, 1:]
    return middle[..., None, :] + v * down[..., None, :] + u * right[..., None, :]


def _shown(point: jax.Array, middle: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
    """The opposite of `_seen`: where in a frame windows show points [..., N, 2] of the canvas."""
    y, x = jnp.moveaxis(point - middle[..., None, :], -1, 0)
    (dy, dx), (ry, rx) = (jnp.moveaxis(edge[..., None, :], -1, 0) for edge in (down, right))
    area = dy * rx - dx * ry
    return jnp.stack([(rx * y - ry * x) / area, (dy * x - dx * y) / area], axis=-1)
