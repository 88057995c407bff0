"""ShotPlan -> frames, on the device: pan, tilt and zoom are two small matrix products a frame."""

import jax
import jax.numpy as jnp

from animclip_jax.animation.plan import ShotPlan


def axis_weights(start: jax.Array, stop: jax.Array, canvas_size: int, image_size: int) -> jax.Array:
    """Resampling weights along one axis, anti-aliased.

    A triangle kernel as wide as the larger of a canvas pixel and an output pixel, the rule of
    Pillow's and `jax.image.scale_and_translate`'s "bilinear"; rows sum to 1.

    Args:
      start, stop: float32 [...], the window's ends as fractions of the canvas.
      canvas_size: S, pixels. image_size: O, pixels.

    Returns:
      float32 [..., O, S].
    """
    pixels_per_output = (stop - start)[..., None, None] * (canvas_size / image_size)
    output = (jnp.arange(image_size, dtype=jnp.float32) + 0.5)[:, None]
    centre = start[..., None, None] * canvas_size + output * pixels_per_output - 0.5
    canvas = jnp.arange(canvas_size, dtype=jnp.float32)
    distance = jnp.abs(centre - canvas) / jnp.maximum(pixels_per_output, 1.0)
    weights = jnp.maximum(0.0, 1.0 - distance)
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def render(canvas: jax.Array, plan: ShotPlan, image_size: int) -> jax.Array:
    """Films each canvas as its plan says.

    Args:
      canvas: uint8 [B, S, S, 3].
      plan: boxes float32 [B, T, 4].
      image_size: O, the side of a frame in pixels.

    Returns:
      float32 [B, T, O, O, 3] in [0, 1].
    """
    size = canvas.shape[1]
    y0, x0, y1, x1 = (plan.boxes[..., i] for i in range(4))
    rows_BTOS = axis_weights(y0, y1, size, image_size)
    columns_BTOS = axis_weights(x0, x1, size, image_size)
    # A float32 product would otherwise be rounded to bfloat16 on TPU: visible banding.
    highest = jax.lax.Precision.HIGHEST
    pixels = canvas.astype(jnp.float32) / 255.0
    tall = jnp.einsum("btos,bsxc->btoxc", rows_BTOS, pixels, precision=highest)
    frames = jnp.einsum("btpx,btoxc->btopc", columns_BTOS, tall, precision=highest)
    return jnp.clip(frames, 0.0, 1.0)
