"""The baseline re-ranker: one transformer over the caption and the frames together.

After what github.com/ArrowLuo/CLIP4Clip calls tightTransf (modules/module_cross.py): the caption's
embedding and those of the frames in one sequence, self-attention layers, the first token pooled,
one linear layer. With `tokens="cls"` the frames are one token each, as there; where a frame stands
is told by the video code. Differences: a type embedding beside it, and a last layer that is zero at
the start.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.reranker import RerankerConfig, end_token
from animclip_jax.models.transformer import (
    ACTIVATIONS,
    Transformer,
    TransformerConfig,
    layer_norm,
)


class TightTransformer(nnx.Module):
    """Scores (caption, video) pairs; what `Reranker` takes and gives."""

    def __init__(self, clip: ClipConfig, config: RerankerConfig, *, rngs: nnx.Rngs):
        self.dtype = dtype = jnp.dtype(clip.dtype)
        self.activation = clip.activation
        width = config.width

        def projection(inputs: int) -> nnx.Linear:
            normal = nnx.initializers.normal(inputs**-0.5)
            return nnx.Linear(inputs, width, kernel_init=normal, dtype=dtype, rngs=rngs)

        self.text_projection = projection(clip.text.width)
        self.code_projection = projection(config.code_width)
        normal = nnx.initializers.normal(width**-0.5)
        self.type_embedding = nnx.Param(normal(rngs.params(), (2, width)))
        sizes = TransformerConfig(width, config.layers, config.heads, config.mlp_width)
        self.transformer = Transformer(
            sizes, is_causal=False, dtype=dtype, rngs=rngs, activation=clip.activation
        )
        self.norm_pool = layer_norm(width, rngs)
        self.pool = projection(width)
        self.head_out = nnx.Linear(
            width, 1, kernel_init=nnx.initializers.zeros, dtype=jnp.float32, rngs=rngs
        )

    def __call__(self, hidden: jax.Array, mask: jax.Array, code: jax.Array) -> jax.Array:
        """hidden [P or 1, L, D], mask bool [P or 1, L], code [P, M, code_width] -> float32 [P]."""
        caption_type, video_type = self.type_embedding[...].astype(self.dtype)
        caption = self.text_projection(end_token(hidden, mask))[:, None] + caption_type
        video = self.code_projection(code) + video_type
        caption = jnp.broadcast_to(caption, (len(video), 1, caption.shape[2]))
        x = self.transformer(jnp.concatenate([caption, video], axis=1))
        pooled = self.pool(self.norm_pool(x[:, 0]).astype(self.dtype))
        score = self.head_out(ACTIVATIONS[self.activation](pooled).astype(jnp.float32))
        return score[:, 0]
