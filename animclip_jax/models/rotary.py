"""2-D rotary positions (RoPE) of a ViT's patches, as PE-Core has them.

Half of a head's values turn with a patch's column, half with its row, in neighbouring pairs, each
pair at its own speed (Su et al. 2021, "RoFormer"; perception_models, core/vision_encoder/rope.py).
"""

import jax
import jax.numpy as jnp
import numpy as np

BASE = 10_000.0


def angles(grid: int, head_width: int, class_token: bool) -> np.ndarray:
    """By how much each pair of a head's values turns.

    Args:
      grid: patches on a side. class_token: whether a token that does not turn comes first; rows and
        columns then count from 1.

    Returns:
      float32 [N, head_width / 2], N tokens.

    Raises:
      ValueError: a head's width is not a multiple of 4.
    """
    if head_width % 4:
        raise ValueError(f"heads of width {head_width}: rotary positions need a multiple of 4")
    speeds = BASE ** -(np.arange(head_width // 4) / (head_width // 4))
    turned = (np.arange(grid) + class_token)[:, None] * speeds
    columns = np.broadcast_to(turned[None], (grid, grid, turned.shape[1]))
    rows = np.broadcast_to(turned[:, None], columns.shape)
    found = np.concatenate([columns, rows], axis=-1).reshape(grid**2, -1)
    still = np.zeros((int(class_token), found.shape[1]))
    return np.concatenate([still, found]).astype(np.float32)


def rotate(x: jax.Array, angles: jax.Array) -> jax.Array:
    """Turns neighbouring pairs of x [..., N, heads, head_width] by angles [N, head_width / 2]."""
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    pairs = x.reshape(*x.shape[:-1], -1, 2).astype(jnp.float32)
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)
