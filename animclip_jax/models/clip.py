"""CLIP's dual encoders: frames and captions -> embeddings, and the tokens behind them.

Numerics are those of the family that the weights are from (towers.py): OpenAI's CLIP, PE-Core,
SigLIP; VideoPrism's towers are in videoprism.py. In bfloat16 the parameters, the softmax, the
LayerNorms and the embeddings stay float32.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models import rotary, towers, videoprism
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.pooling import MapPool
from animclip_jax.models.towers import end_of
from animclip_jax.models.transformer import Transformer, layer_norm
from animclip_jax.words import count

# How far below zero the logits of the sigmoid loss start: nearly all pairs are wrong (SigLIP).
INITIAL_LOGIT_BIAS = -10.0


class VisionTower(nnx.Module):
    """A ViT: patches, and in most families a [CLS] token, through a transformer."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.dtype = dtype = jnp.dtype(config.dtype)
        self.patch_size, self.pixels = config.patch_size, config.towers.pixels
        tower, epsilon = config.towers.vision, config.towers.norm_epsilon
        width, patches = config.vision.width, config.grid**2
        normal = nnx.initializers.normal(width**-0.5)
        patch_values = 3 * config.patch_size**2
        self.patch_embedding = nnx.Linear(
            patch_values,
            width,
            use_bias=tower.patch_bias,
            kernel_init=nnx.initializers.normal(patch_values**-0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.class_embedding = (
            nnx.Param(normal(rngs.params(), (width,))) if tower.class_token else None
        )
        tokens = patches + tower.class_token
        self.position_embedding = nnx.Param(normal(rngs.params(), (tokens, width)))
        self.norm_pre = layer_norm(width, rngs, epsilon) if tower.norm_pre else None
        self.rotary = (config.grid, tower.class_token) if tower.rotary else None
        self.head_width = width // config.vision.heads
        self.transformer = Transformer(
            config.vision,
            is_causal=False,
            dtype=dtype,
            rngs=rngs,
            activation=config.activation,
            remat=config.remat,
            epsilon=epsilon,
        )
        self.norm_post = layer_norm(width, rngs, epsilon)
        self.map_pool = (
            MapPool(
                width,
                tower.pool_heads or config.vision.heads,
                tower.pool_mlp_width or config.vision.mlp_width,
                activation=config.activation,
                epsilon=epsilon,
                dtype=dtype,
                rngs=rngs,
            )
            if tower.pool == towers.MAP
            else None
        )
        self.projection = (
            nnx.Linear(
                width,
                config.embed_dim,
                use_bias=tower.projection == towers.DENSE,
                kernel_init=normal,
                dtype=dtype,
                rngs=rngs,
            )
            if tower.projection != towers.NONE
            else None
        )

    def __call__(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Encodes frames.

        Args:
          frames: float [B, H, W, 3] in [0, 1].

        Returns:
          embedding float32 [B, E] (not normalised); tokens [B, 1 + N, D]: what stands for the whole
          frame, then its patches. The first is the [CLS] token, or the pooled vector where there is
          MAP pooling: that alone was trained to say what the frame shows.
        """
        frames = (frames - jnp.asarray(self.pixels.mean)) / jnp.asarray(self.pixels.std)
        B, H, W, C = frames.shape
        p = self.patch_size
        patches = frames.reshape(B, H // p, p, W // p, p, C).transpose(0, 1, 3, 2, 4, 5)
        x = self.patch_embedding(patches.reshape(B, -1, p * p * C).astype(self.dtype))
        if self.class_embedding is not None:
            first = jnp.broadcast_to(self.class_embedding[...].astype(x.dtype), (B, 1, x.shape[-1]))
            x = jnp.concatenate([first, x], axis=1)
        x = x + self.position_embedding[...].astype(x.dtype)
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        angles = None
        if self.rotary is not None:
            grid, class_token = self.rotary
            angles = jnp.asarray(rotary.angles(grid, self.head_width, class_token))
        tokens = self.transformer(x.astype(self.dtype), angles)
        if self.map_pool is None:
            pooled = self.norm_post(tokens[:, 0]).astype(self.dtype)
        else:
            pooled = self.map_pool(self.norm_post(tokens).astype(self.dtype))
            num_patches = (H // p) * (W // p)
            tokens = jnp.concatenate([pooled[:, None], tokens[:, -num_patches:]], axis=1)
        embedding = pooled if self.projection is None else self.projection(pooled)
        return embedding.astype(jnp.float32), tokens

    def of_videos(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Encodes each frame of videos by itself.

        Args:
          frames: float [B, T, H, W, 3] in [0, 1].

        Returns:
          embeddings float32 [B, T, E] (not normalised), whose mean stands for the video; tokens
          [B, T, 1 + N, D] as of a call.
        """
        B, T = frames.shape[:2]
        embedding, tokens = self(frames.reshape(B * T, *frames.shape[2:]))
        return embedding.reshape(B, T, -1), tokens.reshape(B, T, *tokens.shape[1:])


class TextTower(nnx.Module):
    """A transformer over the caption, pooled at one of its tokens."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.dtype = dtype = jnp.dtype(config.dtype)
        width, tower = config.text.width, config.towers.text
        self.end, self.pool, self.cuts_padding = tower.end, tower.pool, tower.cuts_padding
        self.token_embedding = nnx.Embed(
            config.vocab_size,
            width,
            embedding_init=nnx.initializers.normal(0.02),
            dtype=dtype,
            rngs=rngs,
        )
        position = nnx.initializers.normal(0.01)
        self.position_embedding = nnx.Param(position(rngs.params(), (config.context_length, width)))
        self.transformer = Transformer(
            config.text,
            is_causal=tower.causal,
            dtype=dtype,
            rngs=rngs,
            activation=config.activation,
            remat=config.remat,
            epsilon=config.towers.norm_epsilon,
        )
        self.norm_final = layer_norm(width, rngs, config.towers.norm_epsilon)
        self.projection = nnx.Linear(
            width,
            config.embed_dim,
            use_bias=tower.projection == towers.DENSE,
            kernel_init=nnx.initializers.normal(width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Encodes captions.

        Args:
          tokens: int32 [B, L], padded as the family's tokenizer does; of fewer than context_length
            only where the tower cuts padding.

        Returns:
          embedding float32 [B, E] (not normalised); hidden [B, L, D] after the final LayerNorm;
          mask bool [B, L], False where padding is.

        Raises:
          ValueError: captions lack padding that is read.
        """
        length, whole = tokens.shape[1], self.position_embedding.shape[0]
        if not self.cuts_padding and length != whole:
            raise ValueError(
                f"captions of {count(length, 'token')}: wanted {whole}, for this model reads their "
                "padding; keep it as its tokenizer gives it"
            )
        x = self.token_embedding(tokens) + self.position_embedding[:length].astype(self.dtype)
        hidden = self.norm_final(self.transformer(x)).astype(self.dtype)
        end = end_of(tokens, self.end)
        if self.pool == towers.LAST:
            pooled = hidden[:, -1]
        else:
            pooled = jnp.take_along_axis(hidden, end[:, None, None], axis=1)[:, 0]
        mask = jnp.arange(length) <= end[:, None]
        return self.projection(pooled).astype(jnp.float32), hidden, mask


class Clip(nnx.Module):
    """Both towers, the learned temperature, and in some families the bias of the logits."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        takes_videos = config.towers.video.frames > 0
        vision: Any = videoprism.VideoTower if takes_videos else VisionTower
        text: Any = videoprism.TextTower if takes_videos else TextTower
        self.vision, self.text = vision(config, rngs=rngs), text(config, rngs=rngs)
        self.log_logit_scale = nnx.Param(jnp.log(jnp.float32(1 / 0.07)))
        self.max_logit_scale = config.towers.max_logit_scale
        self.logit_bias = (
            nnx.Param(jnp.float32(INITIAL_LOGIT_BIAS)) if config.towers.logit_bias else None
        )

    @property
    def logit_scale(self) -> jax.Array:
        """float32 scalar, at most `max_logit_scale`, where that is not 0."""
        log = self.log_logit_scale[...]
        if self.max_logit_scale:
            most = math.log(self.max_logit_scale)
            log = jnp.where(log > most, most, log)  # unlike a minimum, it can learn at the most
        return jnp.exp(log)
