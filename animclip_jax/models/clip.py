"""CLIP's dual encoders: frames and captions -> embeddings, and the tokens behind them.

Numerics are those of OpenAI's CLIP (github.com/openai/CLIP, clip/model.py): quick_gelu, LayerNorm
epsilon 1e-5, causal text mask, pooling at the end-of-text token. In bfloat16 the parameters, the
softmax, the LayerNorms and the embeddings stay float32.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models.transformer import (
    ACTIVATIONS,
    REMAT_POLICIES,
    Transformer,
    TransformerConfig,
    layer_norm,
    require_sizes,
)

# Mean and standard deviation of the pictures CLIP was trained on (openai/CLIP, clip/clip.py).
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
# Logits are scaled by at most 100 (CLIP paper, section 2.5).
MAX_LOG_LOGIT_SCALE = math.log(100.0)


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """The architecture of both towers, and how it is computed.

    `activation` of the MLPs: quick_gelu (OpenAI's models) or gelu (most of open_clip's). `dtype` is
    what products are computed in, parameters are float32. `remat`: which intermediate results the
    backward pass computes again to save memory: none, block (of each layer all but its input) or
    dots (all but its matrix products); the values are the same.
    """

    image_size: int
    patch_size: int
    vision: TransformerConfig
    text: TransformerConfig
    context_length: int = 77
    vocab_size: int = 49408
    embed_dim: int = 512
    activation: str = "quick_gelu"
    dtype: str = "float32"
    remat: str = "none"

    def __post_init__(self) -> None:
        require_sizes(self, "image_size", "patch_size", "context_length", "vocab_size", "embed_dim")
        for name, possible in (
            ("activation", tuple(ACTIVATIONS)),
            ("dtype", ("float32", "bfloat16")),
            ("remat", tuple(REMAT_POLICIES)),
        ):
            given = getattr(self, name)
            if given not in possible:
                raise ValueError(f"{name} {given!r}: wanted one of {', '.join(possible)}")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )

    @property
    def grid(self) -> int:
        """Patches along one side of a frame."""
        return self.image_size // self.patch_size


class VisionTower(nnx.Module):
    """A ViT: patches and a [CLS] token through a transformer."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        width = config.vision.width
        normal = nnx.initializers.normal(width**-0.5)
        self.dtype = dtype
        self.patch_size = config.patch_size
        patch_values = 3 * config.patch_size**2
        self.patch_embedding = nnx.Linear(
            patch_values,
            width,
            use_bias=False,
            kernel_init=nnx.initializers.normal(patch_values**-0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.class_embedding = nnx.Param(normal(rngs.params(), (width,)))
        self.position_embedding = nnx.Param(normal(rngs.params(), (1 + config.grid**2, width)))
        self.norm_pre = layer_norm(width, rngs)
        self.transformer = Transformer(
            config.vision,
            is_causal=False,
            dtype=dtype,
            rngs=rngs,
            activation=config.activation,
            remat=config.remat,
        )
        self.norm_post = layer_norm(width, rngs)
        self.projection = nnx.Linear(
            width, config.embed_dim, use_bias=False, kernel_init=normal, dtype=dtype, rngs=rngs
        )

    def __call__(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Encodes frames.

        Args:
          frames: float [B, H, W, 3] in [0, 1].

        Returns:
          embedding float32 [B, E] (not normalised); tokens [B, 1 + N, D], [CLS] first.
        """
        frames = (frames - jnp.asarray(PIXEL_MEAN)) / jnp.asarray(PIXEL_STD)
        B, H, W, C = frames.shape
        p = self.patch_size
        patches = frames.reshape(B, H // p, p, W // p, p, C).transpose(0, 1, 3, 2, 4, 5)
        x = self.patch_embedding(patches.reshape(B, -1, p * p * C).astype(self.dtype))
        first = jnp.broadcast_to(self.class_embedding[...].astype(x.dtype), (B, 1, x.shape[-1]))
        x = jnp.concatenate([first, x], axis=1) + self.position_embedding[...].astype(x.dtype)
        tokens = self.transformer(self.norm_pre(x).astype(self.dtype))
        embedding = self.projection(self.norm_post(tokens[:, 0]).astype(self.dtype))
        return embedding.astype(jnp.float32), tokens


class TextTower(nnx.Module):
    """A causal transformer over the caption, pooled at its end-of-text token."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        dtype = jnp.dtype(config.dtype)
        width = config.text.width
        self.dtype = dtype
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
            is_causal=True,
            dtype=dtype,
            rngs=rngs,
            activation=config.activation,
            remat=config.remat,
        )
        self.norm_final = layer_norm(width, rngs)
        self.projection = nnx.Linear(
            width,
            config.embed_dim,
            use_bias=False,
            kernel_init=nnx.initializers.normal(width**-0.5),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Encodes captions.

        Args:
          tokens: int32 [B, L], zero-padded; the end-of-text token has the greatest id.

        Returns:
          embedding float32 [B, E] (not normalised); hidden [B, L, D] after the final LayerNorm.
        """
        length = tokens.shape[1]
        x = self.token_embedding(tokens) + self.position_embedding[:length].astype(self.dtype)
        hidden = self.norm_final(self.transformer(x)).astype(self.dtype)
        end = jnp.argmax(tokens, axis=-1)
        pooled = jnp.take_along_axis(hidden, end[:, None, None], axis=1)[:, 0]
        return self.projection(pooled).astype(jnp.float32), hidden


class Clip(nnx.Module):
    """Both towers and the learned temperature."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.vision = VisionTower(config, rngs=rngs)
        self.text = TextTower(config, rngs=rngs)
        self.log_logit_scale = nnx.Param(jnp.log(jnp.float32(1 / 0.07)))

    @property
    def logit_scale(self) -> jax.Array:
        """float32 scalar, at most 100."""
        return jnp.exp(jnp.minimum(self.log_logit_scale[...], MAX_LOG_LOGIT_SCALE))
