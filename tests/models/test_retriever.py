"""The whole model: features of one item do not depend on its neighbours; fused begins as coarse."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models.retriever import Retriever, TemporalConfig
from tests.small_model import CONFIG, TEMPORAL, assert_reached, captions, clips


@pytest.fixture(scope="module")
def model() -> Retriever:
    return Retriever(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def trained(model) -> Retriever:
    """A model whose score head is no longer zero."""
    other = nnx.clone(model)
    other.reranker.head_out.kernel[...] = jax.random.normal(jax.random.key(1), (24, 1))
    return other


@pytest.fixture(scope="module")
def temporal() -> Retriever:
    """A model with a temporal transformer that no longer adds nothing."""
    other = Retriever(TEMPORAL, rngs=nnx.Rngs(0))
    assert other.temporal is not None
    other.temporal.out.kernel[...] = 0.2 * jax.random.normal(jax.random.key(1), (16, 16))
    return other


def test_shapes_and_lengths(model):
    video, text = model.encode_video(clips(2)), model.encode_text(captions(4))
    assert video.embedding.shape == (2, 16) and video.code.shape == (2, 3 * (1 + 4), 20)
    assert text.embedding.shape == (4, 16) and text.hidden.shape == (4, 12, 32)
    np.testing.assert_allclose(jnp.linalg.norm(video.embedding, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(text.mask.sum(axis=1), 6)


def test_a_video_alone_equals_the_same_video_in_a_batch(model):
    together, alone = model.encode_video(clips(3)), model.encode_video(clips(3)[1:2])
    np.testing.assert_allclose(together.embedding[1], alone.embedding[0], atol=1e-5)
    np.testing.assert_allclose(together.code[1], alone.code[0], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": -1}, r"temporal\.layers -1: wanted a whole number from 0"),
        ({"layers": 1, "heads": 0}, r"temporal\.heads 0: wanted a whole number from 1"),
        ({"layers": 1, "heads": 3}, r"temporal\.heads 3: wanted a divisor of .*embed_dim, 16"),
    ],
)
def test_a_temporal_transformer_that_can_not_be_built_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, temporal=TemporalConfig(**changes))
    # Where there is none, its heads do not matter.
    assert dataclasses.replace(CONFIG, temporal=TemporalConfig(0, 3)).temporal.layers == 0


def test_frame_order_is_lost_in_the_embedding_and_kept_in_the_code(model):
    forward, backward = model.encode_video(clips(1)), model.encode_video(clips(1)[:, ::-1])
    np.testing.assert_allclose(forward.embedding, backward.embedding, atol=1e-6)
    assert np.abs(forward.code - backward.code).max() > 1e-2


def test_the_temporal_transformer_starts_as_the_mean(model):
    start = Retriever(TEMPORAL, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(
        start.encode_video(clips(2)).embedding, model.encode_video(clips(2)).embedding
    )


def test_frame_order_matters_to_the_temporal_transformer(temporal):
    forward, backward = temporal.encode_video(clips(1)), temporal.encode_video(clips(1)[:, ::-1])
    assert np.abs(forward.embedding - backward.embedding).max() > 1e-3


def test_a_video_alone_equals_the_same_video_in_a_batch_with_the_temporal_transformer(temporal):
    together, alone = temporal.encode_video(clips(3)), temporal.encode_video(clips(3)[1:2])
    np.testing.assert_allclose(together.embedding[1], alone.embedding[0], atol=1e-5)


def test_the_temporal_transformer_learns_its_last_layer_first_and_then_every_part():
    graphdef, state = nnx.split(Retriever(TEMPORAL, rngs=nnx.Rngs(0)))

    def loss(params: dict) -> jax.Array:
        embedding = nnx.merge(graphdef, params).encode_video(clips(2)).embedding
        return jnp.sum(embedding * jnp.arange(32.0).reshape(2, 16))

    params = nnx.to_pure_dict(state)
    first = jax.grad(loss)(params)
    assert np.abs(first["temporal"]["out"]["kernel"]).max() > 1e-4
    assert np.abs(first["temporal"]["position_embedding"]).max() == 0
    second = jax.grad(loss)(jax.tree.map(lambda p, g: p - 0.1 * g, params, first))
    assert_reached(second["temporal"], "temporal")


def test_without_layers_there_is_no_temporal_transformer(model):
    assert "temporal" not in nnx.to_pure_dict(nnx.state(model))


def test_fused_depends_on_both_sides_once_trained(trained):
    text, video = trained.encode_text(captions(2)), trained.encode_video(clips(2))
    fine = trained.fused_scores(text, video) - trained.coarse_logits(
        text.embedding, video.embedding
    )
    swapped = video._replace(code=video.code[::-1])
    other_video = trained.fused_scores(text, swapped) - trained.coarse_logits(
        text.embedding, video.embedding
    )
    assert np.abs(fine[0] - fine[1]) > 1e-4
    assert np.abs(fine - other_video).max() > 1e-4


def test_fused_is_blind_to_padding_and_to_neighbours(trained):
    video = trained.encode_video(clips(3))
    padded = trained.fused_scores(trained.encode_text(captions(3)), video)
    short = trained.fused_scores(trained.encode_text(captions(3)[:, :6]), video)
    np.testing.assert_allclose(padded, short, atol=1e-4)
    one = jax.tree.map(lambda x: x[1:2], (trained.encode_text(captions(3)), video))
    np.testing.assert_allclose(trained.fused_scores(*one)[0], padded[1], atol=1e-4)


def test_gradient_reaches_the_head_at_once_and_every_part_after_one_step(model):
    graphdef, state = nnx.split(model)
    params = nnx.to_pure_dict(state)

    def loss(params: dict) -> jax.Array:
        model = nnx.merge(graphdef, params)
        fused = model.fused_scores(model.encode_text(captions(4)), model.encode_video(clips(4)))
        return jnp.sum(fused * jnp.array([1.0, -1.0, 0.5, 0.3]))

    first = jax.grad(loss)(params)
    assert np.abs(first["reranker"]["head_out"]["kernel"]).max() > 1e-6
    assert np.abs(first["coder"]["projection"]["kernel"]).max() == 0
    moved = jax.tree.map(lambda p, g: p - 0.1 * g, params, first)
    assert_reached(jax.grad(loss)(moved))
