"""The fine stage: caption tokens query a compact video code by cross-attention; one score a pair.

Our design. Its score is added to the coarse logit (fused = coarse + fine), and the head's last
layer is the only zero at the start, so that re-ranking begins as the coarse order.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.transformer import Attention, Mlp, Stack, layer_norm


@dataclasses.dataclass(frozen=True)
class RerankerConfig:
    """Sizes of the re-ranker.

    A video's code has T * (1 + pooled_grid**2) tokens of `code_width`: per frame its [CLS] and its
    patches averaged over a pooled_grid x pooled_grid raster, those on a border in parts.
    """

    layers: int = 2
    width: int = 256
    heads: int = 4
    mlp_width: int = 1024
    code_width: int = 256
    pooled_grid: int = 2


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
    """Frame tokens -> the video's compact code, computed once a video and stored."""

    def __init__(
        self, clip: ClipConfig, config: RerankerConfig, num_frames: int, *, rngs: nnx.Rngs
    ):
        if config.pooled_grid > clip.grid:
            raise ValueError(
                f"reranker.pooled_grid is {config.pooled_grid}, wanted at most {clip.grid}, the "
                "patches on a side of a frame"
            )
        dtype = jnp.dtype(clip.dtype)
        width = clip.vision.width
        self.grid, self.pooled_grid, self.dtype = clip.grid, config.pooled_grid, dtype
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
            embedding(rngs.params(), (1 + config.pooled_grid**2, config.code_width))
        )
        self.norm_code = layer_norm(config.code_width, rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """tokens [B, T, 1 + N, D] -> code [B, M, code_width] with M = T * (1 + pooled_grid**2)."""
        B, T, _, D = tokens.shape
        patches = tokens[:, :, 1:].reshape(B, T, self.grid, self.grid, D)
        share = area_weights(self.grid, self.pooled_grid).astype(patches.dtype)
        pooled = jnp.einsum("yr,xc,btrcd->btyxd", share, share, patches).reshape(B, T, -1, D)
        kept = jnp.concatenate([tokens[:, :, :1], pooled], axis=2)
        code = self.projection(self.norm(kept).astype(self.dtype))
        code = code + (self.frame_embedding[...] + self.place_embedding[...]).astype(self.dtype)
        return self.norm_code(code).astype(self.dtype).reshape(B, -1, code.shape[-1])


def _reader(config: RerankerConfig, dtype: jnp.dtype, rngs: nnx.Rngs) -> Attention:
    """Attention from caption tokens into the video code."""
    return Attention(
        config.width,
        config.heads,
        out_std=config.width**-0.5,
        dtype=dtype,
        rngs=rngs,
        memory_width=config.code_width,
    )


class CrossBlock(nnx.Module):
    """Self-attention over the caption, gated cross-attention into the video code, MLP."""

    def __init__(self, config: RerankerConfig, *, dtype: jnp.dtype, rngs: nnx.Rngs):
        out_std = config.width**-0.5 * (3 * config.layers) ** -0.5
        self.norm_self = layer_norm(config.width, rngs)
        self.self_attention = Attention(
            config.width, config.heads, out_std=out_std, dtype=dtype, rngs=rngs
        )
        self.norm_cross = layer_norm(config.width, rngs)
        self.cross_attention = _reader(config, dtype, rngs)
        # Starts open: a gate at zero would pass no gradient to what lies behind it.
        self.gate = nnx.Param(jnp.ones((config.width,)))
        self.norm_mlp = layer_norm(config.width, rngs)
        self.mlp = Mlp(config.width, config.mlp_width, out_std=out_std, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, mask: jax.Array, code: jax.Array) -> jax.Array:
        x = x + self.self_attention(self.norm_self(x), mask=mask)
        seen = self.cross_attention(self.norm_cross(x), memory=code)
        x = x + self.gate[...].astype(x.dtype) * seen
        return x + self.mlp(self.norm_mlp(x))


class Reranker(nnx.Module):
    """Scores (caption, video) pairs from caption tokens and the video code."""

    def __init__(self, clip: ClipConfig, config: RerankerConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(clip.dtype)
        self.dtype = dtype
        self.text_projection = nnx.Linear(
            clip.text.width,
            config.width,
            kernel_init=nnx.initializers.normal(clip.text.width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )

        def block(rngs: nnx.Rngs) -> CrossBlock:
            return CrossBlock(config, dtype=dtype, rngs=rngs)

        self.blocks = Stack(block, config.layers, rngs)
        self.norm_final = layer_norm(config.width, rngs)
        self.evidence = _reader(config, dtype, rngs)
        self.norm_evidence = layer_norm(config.width, rngs)
        self.head = nnx.Linear(2 * config.width, config.width, dtype=dtype, rngs=rngs)
        self.head_out = nnx.Linear(
            config.width, 1, kernel_init=nnx.initializers.zeros, dtype=jnp.float32, rngs=rngs
        )

    def __call__(self, hidden: jax.Array, mask: jax.Array, code: jax.Array) -> jax.Array:
        """What re-ranking adds to the coarse logits of P pairs; 0 at the start.

        Args:
          hidden: [P, L, D], the text tower's tokens.
          mask: bool [P, L], True for the caption's own tokens.
          code: [P, M, code_width].

        Returns:
          float32 [P].
        """
        x = self.blocks(self.text_projection(hidden), mask, code)
        # A token's product with what it finds in the video says how well the two agree; without a
        # product the head would have to learn to multiply first. The end token stands for the whole
        # caption: in the mean over tokens alone it would drown.
        asked = self.norm_final(x)
        found = self.norm_evidence(self.evidence(asked.astype(self.dtype), memory=code))
        weight = mask[..., None].astype(jnp.float32)
        agreement = asked * found
        mean = (agreement * weight).sum(axis=1) / weight.sum(axis=1)
        end = mask.sum(axis=1)[:, None, None] - 1
        whole = jnp.take_along_axis(agreement, end, axis=1)[:, 0]
        agreement = jnp.concatenate([mean, whole], axis=-1)
        score = self.head_out(nnx.gelu(self.head(agreement.astype(self.dtype))).astype(jnp.float32))
        return score[:, 0]
