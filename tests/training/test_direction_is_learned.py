"""What a model needs to know which way a thing moved: siblings told apart after some steps."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from animclip_jax.models.retriever import Retriever, RetrieverConfig
from animclip_jax.training import hard_negatives, losses
from tests.small_model import CONFIG, TEMPORAL

PAIRS = 8
LEFT, RIGHT, START, END = 1, 2, 98, 99


class Toy(NamedTuple):
    """Clips of a bright bar that goes to the left, or backwards to the right, on grey noise."""

    frames: jax.Array
    tokens: jax.Array
    item: jax.Array


def toy(seed: int) -> Toy:
    random = np.random.default_rng(seed)
    frames = np.zeros((2 * PAIRS, 3, 32, 32, 3), np.float32)
    frames[::2] = random.random((PAIRS, 1, 32, 32, 3)) * 0.4
    for pair in range(PAIRS):
        place = random.integers(18, 22)
        for t in range(3):
            frames[2 * pair, t, :, place - 8 * t : place - 8 * t + 6] = 1.0
    frames[1::2] = frames[::2, ::-1]
    tokens = np.zeros((2 * PAIRS, 6), np.int32)
    tokens[:, 0], tokens[:, 3] = START, END
    tokens[::2, 1] = tokens[1::2, 1] = 10 + np.arange(PAIRS)
    tokens[::2, 2], tokens[1::2, 2] = LEFT, RIGHT
    index = np.arange(2 * PAIRS) // 2
    index[1::2] = -1 - index[1::2]
    return Toy(*map(jnp.asarray, (frames, tokens, index)))


def thin(config: RetrieverConfig) -> RetrieverConfig:
    """With one layer of each kind, which compiles sooner."""
    towers = {
        name: dataclasses.replace(getattr(config.clip, name), layers=1)
        for name in ("vision", "text")
    }
    return dataclasses.replace(
        config,
        clip=dataclasses.replace(config.clip, **towers),
        reranker=dataclasses.replace(config.reranker, layers=1),
        temporal=dataclasses.replace(config.temporal, layers=min(config.temporal.layers, 1)),
    )


def trained(config: RetrieverConfig, loss: losses.LossConfig, steps: int, rate: float) -> Retriever:
    graphdef, state = nnx.split(Retriever(thin(config), rngs=nnx.Rngs(0)))
    params = nnx.to_pure_dict(state)
    optimizer = optax.adam(rate)

    @jax.jit
    def step(params: dict, moments: optax.OptState, batch: Toy, key: jax.Array) -> tuple:
        def cost(params: dict) -> jax.Array:
            model = nnx.merge(graphdef, params)
            text, video = model.encode_text(batch.tokens), model.encode_video(batch.frames)
            same = hard_negatives.same_pair(batch.tokens, batch.item)
            sibling = hard_negatives.siblings(batch.item)
            return losses.feature_loss(model, text, video, same, key, loss, sibling=sibling)[0]

        updates, moments = optimizer.update(jax.grad(cost)(params), moments)
        return optax.apply_updates(params, updates), moments

    moments = optimizer.init(params)
    for number in range(steps):
        params, moments = step(params, moments, toy(1 + number), jax.random.key(number))
    return nnx.merge(graphdef, params)


def told_apart(model: Retriever, batch: Toy) -> tuple[np.ndarray, np.ndarray]:
    """By how much each caption prefers its own clip to the sibling: coarse logits, fused scores.

    The codes of the clips are as an index stores them.
    """
    text = model.encode_text(batch.tokens)
    video = model.stored(model.encode_video(batch.frames))
    order = np.arange(2 * PAIRS) ^ 1
    other = jax.tree.map(lambda of: of[order], video)
    coarse = model.coarse_logits(text.embedding, video.embedding)
    coarse -= model.coarse_logits(text.embedding, other.embedding)
    fused = model.fused_scores(text, video) - model.fused_scores(text, other)
    return np.asarray(coarse), np.asarray(fused)


@pytest.mark.slow
def test_the_re_ranker_learns_the_direction_and_the_mean_over_frames_can_not() -> None:
    model = trained(CONFIG, losses.LossConfig(1.0, 3), steps=120, rate=1e-3)
    coarse, fused = told_apart(model, toy(0))
    assert np.abs(coarse).max() < 1e-4
    assert fused.min() > 1.0


@pytest.mark.slow
def test_the_temporal_transformer_learns_the_direction_without_a_re_ranker() -> None:
    model = trained(TEMPORAL, losses.LossConfig(0.0, 3), steps=400, rate=5e-4)
    coarse, _ = told_apart(model, toy(0))
    assert (coarse > 1.0).mean() > 0.8
