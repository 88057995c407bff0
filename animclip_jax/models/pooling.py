"""MAP pooling (multi-head attention pooling): a learned query gathers a frame's tokens."""

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models.transformer import Attention, Mlp, layer_norm


class MapPool(nnx.Module):
    """The head of SigLIP and of PE-Core: attention, then an MLP beside it.

    Source: big_vision, models/vit.py (MAPHead); perception_models, core/vision_encoder/pe.py.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_width: int,
        *,
        activation: str,
        epsilon: float,
        dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        std = width**-0.5
        query = nnx.initializers.normal(std)
        self.query = nnx.Param(query(rngs.params(), (width,)))
        self.attention = Attention(width, heads, out_std=std, dtype=dtype, rngs=rngs)
        self.norm = layer_norm(width, rngs, epsilon)
        self.mlp = Mlp(width, mlp_width, out_std=std, dtype=dtype, rngs=rngs, activation=activation)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """tokens [B, N, D] -> [B, D]."""
        query = jnp.broadcast_to(self.query[...], (tokens.shape[0], 1, tokens.shape[-1]))
        x = self.attention(query.astype(tokens.dtype), memory=tokens)
        return (x + self.mlp(self.norm(x).astype(tokens.dtype)))[:, 0]
