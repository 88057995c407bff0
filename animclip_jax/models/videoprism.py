"""VideoPrism's video-text encoders (LvT): a tower that takes whole videos, and its captions' tower.

Zhao et al. 2024, "VideoPrism: A foundational visual encoder for video understanding"; source:
github.com/google-deepmind/videoprism, videoprism/encoders.py and layers.py. Attention's logits are
capped in all layers, though not where tokens are pooled.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.towers import end_of
from animclip_jax.models.transformer import Transformer, TransformerConfig, layer_norm

# The stacks of layers of a tower, in the order in which they are computed; others have the first.
STACKS = ("transformer", "temporal", "auxiliary")
# Heads of the pooling are so many times as wide as the layers'.
POOL_WIDTH = 4
# Of the slowest sine beside that of the fastest.
_SLOWEST = 10_000.0


class AttentionPool(nnx.Module):
    """A learned query gathers tokens; each value of a head has a learned scale (PerDimScale).

    The query is the same for all tokens. So it is multiplied by the keys' kernel, and the values'
    kernel by what is found: the same sums as with a key and a value for each token, four times as
    wide as the token itself, without computing these.
    """

    def __init__(
        self, config: TransformerConfig, epsilon: float, *, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        width, heads = config.width, config.heads
        head_width = POOL_WIDTH * width // heads
        normal = nnx.initializers.normal(width**-0.5)

        def linear(inputs: Any, outputs: Any, axis: Any = -1) -> nnx.LinearGeneral:
            return nnx.LinearGeneral(
                inputs, outputs, axis=axis, kernel_init=normal, dtype=dtype, rngs=rngs
            )

        self.probe = nnx.Param(normal(rngs.params(), (width,)))
        self.query = linear(width, (heads, head_width))
        self.scale = nnx.Param(jnp.zeros((head_width,)))
        self.key_value = linear(width, (2, heads, head_width))
        self.out = linear((heads, head_width), width, axis=(-2, -1))
        self.norm = layer_norm(width, rngs, epsilon)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """tokens [..., N, D] -> float32 [..., D]."""
        dtype = tokens.dtype
        kernel, bias = self.key_value.kernel[...].astype(dtype), self.key_value.bias
        assert bias is not None
        # One over softplus(0), so that a scale of zero is that of other attention.
        scale = jax.nn.softplus(self.scale[...]) / (math.log(2) * math.sqrt(len(self.scale)))
        query = self.query(self.probe[...].astype(dtype)) * scale.astype(dtype)
        asked = jnp.einsum("hk,dhk->hd", query, kernel[:, 0])
        logits = jnp.einsum("hd,...nd->...hn", asked, tokens, preferred_element_type=jnp.float32)
        share = jax.nn.softmax(logits).astype(dtype)
        seen = jnp.einsum("...hn,...nd->...hd", share, tokens)
        mixed = jnp.einsum("...hd,dhk->...hk", seen, kernel[:, 1]) + bias[1].astype(dtype)
        return self.norm(self.out(mixed))


class VideoTower(nnx.Module):
    """A ViT for each frame, layers along time at each patch, layers over all tokens, a pooling."""

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.dtype = dtype = jnp.dtype(config.dtype)
        self.patch_size, self.pixels = config.patch_size, config.towers.pixels
        sizes, video, epsilon = config.vision, config.towers.video, config.towers.norm_epsilon
        width, patch_values = sizes.width, 3 * config.patch_size**2
        normal = nnx.initializers.normal(width**-0.5)

        def layers(count: int) -> Transformer:
            return Transformer(
                TransformerConfig(width, count, sizes.heads, sizes.mlp_width),
                is_causal=False,
                dtype=dtype,
                rngs=rngs,
                activation=config.activation,
                remat=config.remat,
                epsilon=epsilon,
                logit_cap=video.logit_cap,
            )

        self.patch_embedding = nnx.Linear(
            patch_values,
            width,
            kernel_init=nnx.initializers.normal(patch_values**-0.5),
            dtype=dtype,
            rngs=rngs,
        )
        self.position_embedding = nnx.Param(normal(rngs.params(), (config.grid**2, width)))
        self.transformer = layers(sizes.layers)
        self.norm_spatial = layer_norm(width, rngs, epsilon)
        self.time_embedding = nnx.Param(normal(rngs.params(), (video.frames, width)))
        self.temporal = layers(video.temporal_layers)
        self.norm_temporal = layer_norm(width, rngs, epsilon)
        self.auxiliary = layers(video.auxiliary_layers)
        self.pool = AttentionPool(sizes, epsilon, dtype=dtype, rngs=rngs)

    def of_videos(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Encodes videos.

        Args:
          frames: float [B, T, H, W, 3] in [0, 1], any T: positions in time are interpolated.

        Returns:
          embeddings float32 [B, 1, D] (not normalised), one for the whole video; tokens
          [B, T, 1 + N, D]: what the pooling makes of a frame, then the frame's patches behind the
          layers along time.
        """
        frames = (frames - jnp.asarray(self.pixels.mean)) / jnp.asarray(self.pixels.std)
        B, T, H, W, C = frames.shape
        p = self.patch_size
        patches = frames.reshape(B, T, H // p, p, W // p, p, C).transpose(0, 1, 2, 4, 3, 5, 6)
        x = self.patch_embedding(patches.reshape(B, T, -1, p * p * C).astype(self.dtype))
        x = self.transformer(x + self.position_embedding[...].astype(x.dtype))
        x = self.norm_spatial(x).swapaxes(1, 2) + self._times(T)
        x = self.norm_temporal(self.temporal(x.astype(self.dtype))).swapaxes(1, 2)
        patches = x.astype(self.dtype)
        N, D = patches.shape[2:]
        mixed = self.auxiliary(patches.reshape(B, T * N, D))
        of_frames = self.pool(mixed.reshape(B, T, N, D)).astype(self.dtype)
        tokens = jnp.concatenate([of_frames[:, :, None], patches], axis=2)
        return self.pool(mixed)[:, None], tokens

    def _times(self, count: int) -> jax.Array:
        """Positions in time of so many frames, float32 [count, D]."""
        learned = self.time_embedding[...]
        if count == len(learned):
            return learned
        return jax.image.resize(learned, (count, learned.shape[1]), "bilinear")


def sinusoids(length: int, width: int) -> jax.Array:
    """Positions of tokens: sines in the first half of the values, cosines in the second.

    Returns:
      float32 [length, width].
    """
    count = width // 2
    slowness = math.log(_SLOWEST) / max(count - 1, 1)
    turned = jnp.arange(length)[:, None] * jnp.exp(-slowness * jnp.arange(count))
    found = jnp.concatenate([jnp.sin(turned), jnp.cos(turned)], axis=1)
    return jnp.pad(found, ((0, 0), (0, width % 2)))


class TextTower(nnx.Module):
    """A causal transformer over a caption and the class token behind it, which is its embedding.

    In the source the class token comes behind the padding, which it does not look at. Here it takes
    the place of the token that ends the caption: it sees the same tokens, for it has no position,
    and padding may be cut off.
    """

    cuts_padding = True

    def __init__(self, config: ClipConfig, *, rngs: nnx.Rngs):
        self.dtype = dtype = jnp.dtype(config.dtype)
        width, epsilon = config.text.width, config.towers.norm_epsilon
        self.end = config.towers.text.end
        normal = nnx.initializers.normal(width**-0.5)
        self.token_embedding = nnx.Embed(
            config.vocab_size, width, embedding_init=normal, dtype=dtype, rngs=rngs
        )
        self.class_embedding = nnx.Param(normal(rngs.params(), (width,)))
        self.transformer = Transformer(
            config.text,
            is_causal=True,
            dtype=dtype,
            rngs=rngs,
            activation="relu",
            remat=config.remat,
            epsilon=epsilon,
            logit_cap=config.towers.video.logit_cap,
        )
        self.norm_final = layer_norm(width, rngs, epsilon)

    def __call__(self, tokens: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Encodes captions.

        Args:
          tokens: int32 [B, L]: words, the end, padding.

        Returns:
          embedding float32 [B, D] (not normalised); hidden [B, L, D] after the final LayerNorm;
          mask bool [B, L], False where padding is.
        """
        length, width = tokens.shape[1], self.class_embedding.shape[0]
        end, places = end_of(tokens, self.end)[:, None], jnp.arange(length)
        root = jnp.asarray(math.sqrt(width), self.dtype)
        words = self.token_embedding(tokens) * root + sinusoids(length, width).astype(self.dtype)
        last = self.class_embedding[...].astype(self.dtype) * root
        x = jnp.where((places == end)[..., None], last, words)
        hidden = self.norm_final(self.transformer(x))
        pooled = jnp.take_along_axis(hidden, end[..., None], axis=1)[:, 0]
        return pooled, hidden.astype(self.dtype), places <= end
