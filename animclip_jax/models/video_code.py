"""A video's compact code, which captions query: how it is made, and how it is stored.

Our design. The code is computed once a video; an index holds it as int8 with a scale a token.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.transformer import layer_norm

INT8_MAX = 127
# The least normal float16: devices may take smaller ones for zero.
MIN_SCALE = 2.0**-14


class PackedCode(NamedTuple):
    """A code as it is stored: values [..., M, C]; scales float16 [..., M] where values are int8."""

    values: jax.Array | np.ndarray
    scales: jax.Array | np.ndarray | None


def pack(code: jax.Array, dtype: str) -> PackedCode:
    """code [..., M, C] -> what is stored of it, in one of `reranker.CODE_DTYPES`.

    In int8 the largest value of each token becomes 127 or -127, and the others are rounded.
    """
    if dtype != "int8":
        return PackedCode(code.astype(dtype), None)
    code = code.astype(jnp.float32)
    scales = jnp.maximum(jnp.max(jnp.abs(code), axis=-1) / INT8_MAX, MIN_SCALE).astype(jnp.float16)
    # Divided by the scale that is stored, not by the one before it was rounded.
    steps = jnp.round(code / scales[..., None].astype(jnp.float32))
    return PackedCode(jnp.clip(steps, -INT8_MAX, INT8_MAX).astype(jnp.int8), scales)


def unpack(code: jax.Array | np.ndarray | PackedCode, dtype: DTypeLike) -> jax.Array:
    """The code [..., M, C] in the dtype it is computed with; one that isn't packed is taken too."""
    if not isinstance(code, PackedCode):
        return jnp.asarray(code).astype(dtype)
    values = jnp.asarray(code.values)
    if code.scales is None:
        return values.astype(dtype)
    scales = jnp.asarray(code.scales)[..., None].astype(jnp.float32)
    return (values.astype(jnp.float32) * scales).astype(dtype)


def stored_bytes(tokens: int, config: RerankerConfig) -> int:
    """Bytes of a code of so many tokens as `config.code_dtype` stores it, scales included."""
    one = jax.ShapeDtypeStruct((tokens, config.code_width), jnp.float32)
    packed = jax.eval_shape(lambda code: pack(code, config.code_dtype), one)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(packed))


def area_weights(grid: int, cells: int) -> np.ndarray:
    """How much of each of `cells` equal parts of a side each of its `grid` patches covers.

    Returns:
      float32 [cells, grid]; rows sum to 1. Patches on a border belong to both parts.
    """
    edges = np.arange(cells + 1) * grid / cells
    patch = np.arange(grid)
    covered = np.minimum(edges[1:, None], patch + 1) - np.maximum(edges[:-1, None], patch)
    return (np.clip(covered, 0.0, 1.0) * cells / grid).astype(np.float32)


class VideoCoder(nnx.Module):
    """Frame tokens -> the video's compact code."""

    def __init__(
        self, clip: ClipConfig, config: RerankerConfig, num_frames: int, *, rngs: nnx.Rngs
    ):
        dtype = jnp.dtype(clip.dtype)
        width = clip.vision.width
        self.grid, self.raster, self.dtype = clip.grid, config.raster(clip.grid), dtype
        self.norm = layer_norm(width, rngs)
        self.projection = nnx.Linear(
            width,
            config.code_width,
            kernel_init=nnx.initializers.normal(width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )
        embedding = nnx.initializers.normal(config.code_width**-0.5)
        self.frame_embedding = nnx.Param(
            embedding(rngs.params(), (num_frames, 1, config.code_width))
        )
        self.place_embedding = nnx.Param(
            embedding(rngs.params(), (config.tokens_a_frame(clip.grid), config.code_width))
        )
        self.norm_code = layer_norm(config.code_width, rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """tokens [B, T, 1 + N, D] -> code [B, M, code_width] with M = T * tokens_a_frame."""
        B, T, _, D = tokens.shape
        kept = tokens if self.raster == self.grid else tokens[:, :, :1]
        if 0 < self.raster < self.grid:
            patches = tokens[:, :, 1:].reshape(B, T, self.grid, self.grid, D)
            share = area_weights(self.grid, self.raster).astype(patches.dtype)
            pooled = jnp.einsum("yr,xc,btrcd->btyxd", share, share, patches).reshape(B, T, -1, D)
            kept = jnp.concatenate([kept, pooled], axis=2)
        code = self.projection(self.norm(kept).astype(self.dtype))
        code = code + (self.frame_embedding[...] + self.place_embedding[...]).astype(self.dtype)
        return self.norm_code(code).astype(self.dtype).reshape(B, -1, code.shape[-1])
