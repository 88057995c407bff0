"""The fine stage: caption tokens query a compact video code by cross-attention; one score a pair.

Our design. Its score is added to the coarse logit (fused = coarse + fine), and the head's last
layer is the only zero at the start, so that re-ranking begins as the coarse order. How the code is
made is in video_code.py, the baseline that does without cross-attention in tight.py.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from animclip_jax.models.attention_kernels import Sizes
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.transformer import Attention, Mlp, Stack, layer_norm, require_sizes
from animclip_jax.words import count

# What interacts with the caption, what the video code keeps of a frame, how the code is stored.
INTERACTIONS = ("cross", "tight")
TOKENS = ("cls", "pooled", "all")
CODE_DTYPES = ("int8", "bfloat16", "float32")
# Captions are padded to the shortest of these lengths when they are re-ranked.
CAPTION_BUCKETS = (8, 12, 16, 32, 77)


@dataclasses.dataclass(frozen=True)
class RerankerConfig:
    """The re-ranker's sizes, and what can be switched to see what each part is worth.

    `interaction`: cross (`Reranker`) or tight (`TightTransformer`, CLIP4Clip's joint one).
    `tokens` of a frame in the video's code: cls (one), pooled (and its patches averaged over a
    pooled_grid x pooled_grid raster, those on a border in parts) or all (and every patch).
    `fusion`: the score that ranks is the coarse logit plus the re-ranker's score, not that alone.
    `train_text`: the matching loss reaches the text tower. `code_dtype`: how codes are stored.
    """

    layers: int = 2
    width: int = 256
    heads: int = 4
    mlp_width: int = 1024
    code_width: int = 256
    pooled_grid: int = 2
    interaction: str = "cross"
    tokens: str = "pooled"
    fusion: bool = True
    train_text: bool = True
    code_dtype: str = "int8"

    def __post_init__(self) -> None:
        sizes = "layers", "width", "heads", "mlp_width", "code_width", "pooled_grid"
        require_sizes(self, *sizes, section="reranker.")
        for name, possible in (
            ("interaction", INTERACTIONS),
            ("tokens", TOKENS),
            ("code_dtype", CODE_DTYPES),
        ):
            if (given := getattr(self, name)) not in possible:
                raise ValueError(f"reranker.{name} {given!r}: wanted one of {', '.join(possible)}")
        if self.width % self.heads:
            raise ValueError(
                f"reranker.width {self.width} is not a multiple of reranker.heads {self.heads}: "
                "change one of them"
            )

    def raster(self, grid: int) -> int:
        """Cells on a side of the raster a frame of grid x grid patches is pooled to; 0: no patches.

        Raises:
          ValueError: pooled_grid is finer than the patches.
        """
        if self.tokens == "pooled" and not 0 < self.pooled_grid <= grid:
            raise ValueError(
                f"reranker.pooled_grid is {self.pooled_grid}, wanted 1 to {grid}, the "
                "patches on a side of a frame"
            )
        return {"cls": 0, "pooled": self.pooled_grid, "all": grid}[self.tokens]

    def tokens_a_frame(self, grid: int) -> int:
        """Tokens that a frame of grid x grid patches has in the video's code."""
        return 1 + self.raster(grid) ** 2


def caption_buckets(lengths: np.ndarray, context_length: int) -> np.ndarray:
    """The number of tokens each caption is padded or cut to before it is re-ranked.

    A pair's cost grows with its caption's tokens, most captions are short, and padding changes no
    score: captions of one bucket are scored together.

    Args:
      lengths: int [...], tokens of each caption with its start and end, at most `context_length`.

    Returns:
      int [...]: the least of CAPTION_BUCKETS that holds the caption, at most `context_length`.
    """
    buckets = np.array([size for size in CAPTION_BUCKETS if size < context_length], int)
    buckets = np.append(buckets, context_length)
    if np.max(lengths, initial=0) > context_length:
        raise ValueError(
            f"a caption of {count(np.max(lengths), 'token')}, wanted at most {context_length}"
        )
    return buckets[np.searchsorted(buckets, lengths)]


class Reader(Attention):
    """Attention from caption tokens into the video code."""

    def __init__(self, config: RerankerConfig, dtype: jnp.dtype, rngs: nnx.Rngs):
        super().__init__(
            config.width,
            config.heads,
            out_std=config.width**-0.5,
            dtype=dtype,
            rngs=rngs,
            memory_width=config.code_width,
        )
        self.dtype = dtype

    def read(self, x: jax.Array, code: jax.Array, sizes: Sizes | None = None) -> jax.Array:
        """x [P or 1, L, D], code [P, M, C] -> [P, L, D]. One caption is read for every code.

        A product with a query, and a weighted sum, commute with the projections of the code to keys
        and values. Of a short caption they are therefore applied to its tokens, not to the code's,
        which are more; a bias of keys changes no attention. sizes: see `Attention`, which computes
        it then.
        """
        if sizes is not None or self.by_cudnn:
            return self(x, memory=code, sizes=sizes)
        *_, L, D = x.shape
        *_, M, C = code.shape
        _, heads, width = self.query.kernel.shape
        # A program for captions of any length can't choose by it.
        if not isinstance(L, int) or L * (C * D + heads * M * C) > M * D * (C + L):
            return self(jnp.broadcast_to(x, (*code.shape[:-2], L, D)), memory=code)
        kernel, bias = self.key_value.kernel[...], self.key_value.bias
        assert bias is not None
        key, value = kernel[:, 0].astype(self.dtype), kernel[:, 1].astype(self.dtype)
        query = self.query(x) * jnp.asarray(width**-0.5, self.dtype)
        asked = jnp.einsum("...lhd,chd->...hlc", query, key)
        logits = jnp.einsum("...hlc,...mc->...hlm", asked, code, preferred_element_type=jnp.float32)
        share = jax.nn.softmax(logits).astype(self.dtype)
        seen = jnp.einsum("...hlm,...mc->...hlc", share, code)
        mixed = jnp.einsum("...hlc,chd->...lhd", seen, value) + bias[1].astype(self.dtype)
        return self.out(mixed)


def end_token(x: jax.Array, mask: jax.Array) -> jax.Array:
    """x [P, L, D] at each caption's last token of its own, by mask bool [P, L]: [P, D]."""
    end = mask.sum(axis=1)[:, None, None] - 1
    return jnp.take_along_axis(x, end, axis=1)[:, 0]


class CrossBlock(nnx.Module):
    """Self-attention over the caption, gated cross-attention into the video code, MLP."""

    def __init__(
        self, config: RerankerConfig, *, activation: str, dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        out_std = config.width**-0.5 * (3 * config.layers) ** -0.5
        self.norm_self = layer_norm(config.width, rngs)
        self.self_attention = Attention(
            config.width, config.heads, out_std=out_std, dtype=dtype, rngs=rngs
        )
        self.norm_cross = layer_norm(config.width, rngs)
        self.cross_attention = Reader(config, dtype, rngs)
        # Starts open: a gate at zero would pass no gradient to what lies behind it.
        self.gate = nnx.Param(jnp.ones((config.width,)))
        self.norm_mlp = layer_norm(config.width, rngs)
        self.mlp = Mlp(
            config.width,
            config.mlp_width,
            out_std=out_std,
            dtype=dtype,
            rngs=rngs,
            activation=activation,
        )

    def __call__(
        self,
        x: jax.Array,
        mask: jax.Array,
        code: jax.Array,
        own: Sizes | None = None,
        across: Sizes | None = None,
    ) -> jax.Array:
        """own, across: of the two attentions, see `Attention`."""
        x = x + self.self_attention(self.norm_self(x), mask=mask, sizes=own)
        seen = self.cross_attention.read(self.norm_cross(x), code, across)
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
            return CrossBlock(config, activation=clip.activation, dtype=dtype, rngs=rngs)

        self.blocks = Stack(block, config.layers, rngs)
        self.norm_final = layer_norm(config.width, rngs)
        self.evidence = Reader(config, dtype, rngs)
        self.norm_evidence = layer_norm(config.width, rngs)
        self.head = nnx.Linear(2 * config.width, config.width, dtype=dtype, rngs=rngs)
        self.head_out = nnx.Linear(
            config.width, 1, kernel_init=nnx.initializers.zeros, dtype=jnp.float32, rngs=rngs
        )

    def __call__(self, hidden: jax.Array, mask: jax.Array, code: jax.Array) -> jax.Array:
        """What re-ranking adds to the coarse logits of P pairs; 0 at the start.

        Args:
          hidden: [P, L, D], the text tower's tokens; [1, L, D] of a caption that all pairs share.
          mask: bool, as hidden [P, L] or [1, L], True for the caption's own tokens.
          code: [P, M, code_width].

        Returns:
          float32 [P].
        """
        P, M = code.shape[:2]
        L = mask.shape[1]
        blocks: Any = self.blocks.layers
        own = blocks.self_attention.sizes(P, L, L)
        across = blocks.cross_attention.sizes(P, L, M)
        if hidden.shape[0] == 1 != P:
            # What comes before the first code is computed once.
            own = across = None
            x = self.blocks.unrolled(self.text_projection(hidden), mask, code)
            mask = jnp.broadcast_to(mask, x.shape[:2])
        else:
            if own is None or across is None:
                own = across = None
            else:  # all tokens are rows
                hidden, code = (part.reshape(-1, part.shape[-1]) for part in (hidden, code))
            x = self.blocks(self.text_projection(hidden), mask, code, own, across)
        # A token's product with what it finds in the video says how well the two agree; without a
        # product the head would have to learn to multiply first. The end token stands for the whole
        # caption: in the mean over tokens alone it would drown.
        asked = self.norm_final(x)
        found = self.evidence.read(asked.astype(self.dtype), code, across)
        weight = mask[..., None].astype(jnp.float32)
        agreement = (asked * self.norm_evidence(found)).reshape(P, L, -1)
        mean = (agreement * weight).sum(axis=1) / weight.sum(axis=1)
        agreement = jnp.concatenate([mean, end_token(agreement, mask)], axis=-1)
        score = self.head_out(nnx.gelu(self.head(agreement.astype(self.dtype))).astype(jnp.float32))
        return score[:, 0]


def start_from_text_tower(params: dict) -> dict:
    """Starts the re-ranker's caption layers as the last layers of a pretrained text tower.

    Copied are self-attention and MLP with their LayerNorms, each where its arrays have the shapes
    of the tower's (reranker.width, heads and mlp_width those of model.text); where the attention
    is, the projection in front of it starts as the identity. Other parts stay as they were drawn.

    Args:
      params: a `Retriever`'s, as a nested dict.

    Returns:
      the parameters, changed; a re-ranker without caption layers (tight) is left alone.
    """
    reranker = params["reranker"]
    if "blocks" not in reranker:
        return params
    tower = params["clip"]["text"]["transformer"]["blocks"]["layers"]
    blocks = dict(reranker["blocks"]["layers"])
    layers = len(blocks["gate"])
    taken: dict = {}
    for norm, part, tower_norm, tower_part in (
        ("norm_self", "self_attention", "norm_1", "attention"),
        ("norm_mlp", "mlp", "norm_2", "mlp"),
    ):
        own = {norm: blocks[norm], part: blocks[part]}
        source = {norm: tower[tower_norm], part: tower[tower_part]}
        last = jax.tree.map(lambda x: x[-layers:], source)
        if jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, last):
            taken |= last
    reranker = reranker | {"blocks": {"layers": blocks | taken}}
    if "self_attention" in taken:
        kernel = reranker["text_projection"]["kernel"]
        reranker["text_projection"] = {
            "kernel": jnp.eye(len(kernel), dtype=kernel.dtype),
            "bias": jnp.zeros_like(reranker["text_projection"]["bias"]),
        }
    return params | {"reranker": reranker}
