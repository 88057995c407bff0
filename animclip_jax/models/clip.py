"""CLIP's dual encoders: frames and captions -> embeddings, and the tokens behind them.

Numerics are those of the family that the weights are from (towers.py): OpenAI's CLIP, PE-Core,
SigLIP. In bfloat16 the parameters, the softmax, the LayerNorms and the embeddings stay float32.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models import rotary, towers
from animclip_jax.models.pooling import MapPool
from animclip_jax.models.towers import CLIP, Towers
from animclip_jax.models.transformer import (
    ACTIVATIONS,
    REMAT_POLICIES,
    Transformer,
    TransformerConfig,
    layer_norm,
    require_sizes,
)
from animclip_jax.words import count

# How far below zero the logits of the sigmoid loss start: nearly all pairs are wrong (SigLIP).
INITIAL_LOGIT_BIAS = -10.0


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """The architecture of both towers, and how it is computed.

    `towers`: the family. `activation` of the MLPs: quick_gelu (OpenAI's models), gelu (most of
    open_clip's, and PE-Core) or gelu_tanh (SigLIP). `dtype` is what products are computed in,
    parameters are float32. `remat`: which intermediate results the backward pass computes again to
    save memory: none, block (of each layer all except its input) or dots (all except its matrix
    products); the values are the same. `attention`: how training computes it: xla (its logits pass
    through memory), kernel (they do not: on TPUs by a kernel of ours where it serves, on GPUs by
    cuDNN) or auto (the kernel on TPUs, xla elsewhere). `tokenizer`: the file of the vocabulary,
    wherever it is now; CLIP's needs none.
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
    attention: str = "auto"
    towers: Towers = CLIP
    tokenizer: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        require_sizes(self, "image_size", "patch_size", "context_length", "vocab_size", "embed_dim")
        for name, possible in (
            ("activation", tuple(ACTIVATIONS)),
            ("dtype", ("float32", "bfloat16")),
            ("remat", tuple(REMAT_POLICIES)),
            ("attention", ("auto", "xla", "kernel")),
        ):
            given = getattr(self, name)
            if given not in possible:
                raise ValueError(f"{name} {given!r}: wanted one of {', '.join(possible)}")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.towers.vision.projection == towers.NONE and self.embed_dim != self.vision.width:
            raise ValueError(
                f"embed_dim {self.embed_dim}: wanted the vision tower's width, "
                f"{self.vision.width}, since it has no projection"
            )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ClipConfig":
        """From the fields of `dataclasses.asdict`, with or without those that have defaults.

        Raises:
          TypeError, KeyError, ValueError: they are not the fields of an architecture.
        """
        fields = dict(fields)
        for tower in ("vision", "text"):
            fields[tower] = TransformerConfig(**fields[tower])
        return cls(**fields | {"towers": Towers.from_dict(fields.get("towers", {}))})

    @property
    def fitted(self) -> tuple[int, str, str, bool]:
        """The arguments of `input_pipeline.media.picture.fit` behind the picture."""
        pixels = self.towers.pixels
        return self.image_size, pixels.resize, pixels.interpolation, pixels.antialias

    @property
    def reading(self) -> tuple[str, int, int, str]:
        """The arguments of `input_pipeline.tokenizers.opening.open_tokenizer`."""
        return self.towers.tokenizer, self.context_length, self.vocab_size, self.tokenizer

    @property
    def grid(self) -> int:
        """Patches along one side of a frame."""
        return self.image_size // self.patch_size


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


def end_of(tokens: Any, end: int) -> Any:
    """The place of the token that ends each caption; the last place if there is none.

    Args:
      tokens: int32 [B, L], of JAX or NumPy. end: its id, or towers.GREATEST.

    Returns:
      int [B], of the same library.
    """
    if end == towers.GREATEST:
        return tokens.argmax(axis=-1)
    is_end = tokens == end
    return is_end.argmax(axis=-1) + (tokens.shape[1] - 1) * ~is_end.any(axis=-1)


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
        self.vision = VisionTower(config, rngs=rngs)
        self.text = TextTower(config, rngs=rngs)
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
            log = jnp.minimum(log, math.log(self.max_logit_scale))
        return jnp.exp(log)
