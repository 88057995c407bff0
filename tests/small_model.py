"""A model small enough to compile in a test, with clips and captions for it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TemporalConfig
from animclip_jax.models.transformer import TransformerConfig

SMALL = ClipConfig(
    image_size=32,
    patch_size=8,
    vision=TransformerConfig(width=32, layers=2, heads=2, mlp_width=64),
    text=TransformerConfig(width=32, layers=2, heads=2, mlp_width=64),
    context_length=12,
    vocab_size=100,
    embed_dim=16,
)
RERANKER = RerankerConfig(layers=2, width=24, heads=2, mlp_width=48, code_width=20, pooled_grid=2)
CONFIG = RetrieverConfig(SMALL, RERANKER, num_frames=3)
TEMPORAL = dataclasses.replace(CONFIG, temporal=TemporalConfig(layers=2, heads=2))
# With all parts that a model can have.
WHOLE = dataclasses.replace(TEMPORAL, motion=MotionConfig(features=8, side=32))


def clips(count: int, seed: int = 0) -> jax.Array:
    """Noise, [count, 3, 32, 32, 3] in [0, 1)."""
    return jnp.asarray(np.random.default_rng(seed).random((count, 3, 32, 32, 3), np.float32))


def captions(count: int, length: int = 12, seed: int = 0) -> jax.Array:
    """Tokens, [count, length]: a start, four words, an end, padding."""
    tokens = np.random.default_rng(seed).integers(1, 98, (count, length)).astype(np.int32)
    tokens[:, 0], tokens[:, 5], tokens[:, 6:] = 98, 99, 0
    return jnp.asarray(tokens)


def drawn(config: ClipConfig | RetrieverConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Parameters by name, no two values alike and none of them zero."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(float(name.endswith("scale")), 0.1, shape).astype(np.float32)
        for name, shape in parameters.shapes(config).items()
    }


def assert_reached(gradient: dict, part: str = "model") -> None:
    """Some gradient arrives at every parameter of the tree."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        if "key_value" in name and "bias" in name:
            leaf = leaf[..., 1, :, :]  # a constant added to every key changes no attention
        assert np.abs(leaf).max() > 0, f"no gradient at {part}{name}"
