"""ShotPlan -> frames in tf.data, for who needs clips outside of JAX (`animation.render = "host"`).

The renderer is `animclip_jax/animation/render.py`, compiled into the pipeline as a JAX program for
a CPU. No Python runs while the pipeline does.

Dimensions: T frames, S canvas pixels, O frame pixels.
"""

from __future__ import annotations

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from animclip_jax.animation.plan import ShotPlan
from animclip_jax.animation.render import render
from input_pipeline.tensorflow_on_cpu import tf, xla


def render_clip(canvas: tf.Tensor, plan: ShotPlan, image_size: int) -> tf.Tensor:
    """Films a canvas uint8 [S, S, 3] as its plan says: uint8 [T, O, O, 3]. Shapes are static."""
    arrays = [canvas, *plan]
    program = _program(tuple((tuple(x.shape), x.dtype.name) for x in arrays), image_size)
    shape = program.out_avals[0].shape
    (frames,) = xla.call_module(
        [arrays[kept] for kept in program.module_kept_var_idx],
        version=program.calling_convention_version,
        module=program.mlir_module_serialized,
        Tout=[tf.uint8],
        Sout=[shape],
        platforms=["CPU"],
    )
    return tf.ensure_shape(frames, shape)


@functools.lru_cache(maxsize=8)
def _program(
    arrays: tuple[tuple[tuple[int, ...], str], ...], image_size: int
) -> jax.export.Exported:
    """The renderer of one clip whose canvas and plan have those shapes and dtypes."""

    def film(canvas: jax.Array, *plan: jax.Array) -> jax.Array:
        canvas, batch = jax.tree.map(lambda x: x[None], (canvas, ShotPlan(*plan)))
        return jnp.round(render(canvas, batch, image_size)[0] * 255.0).astype(jnp.uint8)

    structs = [jax.ShapeDtypeStruct(shape, np.dtype(dtype)) for shape, dtype in arrays]
    return jax.export.export(jax.jit(film), platforms=["cpu"])(*structs)
