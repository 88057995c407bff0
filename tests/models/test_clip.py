"""CLIP's towers: causality by gradients, pooling, padding, sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models.clip import Clip, ClipConfig, TextTower, VisionTower
from animclip_jax.models.presets import PRESETS
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
TOKENS = np.array([[98, 5, 6, 7, 99, 0, 0, 0, 0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def text() -> TextTower:
    return TextTower(SMALL, rngs=nnx.Rngs(0))


def test_text_tower_is_causal(text):
    def hidden_at(table: jax.Array, place: int) -> jax.Array:
        graphdef, state = nnx.split(text)
        state["token_embedding"]["embedding"] = state["token_embedding"]["embedding"].replace(table)
        return nnx.merge(graphdef, state)(jnp.asarray(TOKENS))[1][0, place].sum()

    table = text.token_embedding.embedding[...]
    gradient = jax.grad(hidden_at)(table, 2)
    touched = np.flatnonzero(np.abs(gradient).sum(axis=1))
    np.testing.assert_array_equal(touched, [5, 6, 98])


def test_text_embedding_is_blind_to_what_follows_the_end_token(text):
    longer = TOKENS.copy()
    longer[0, 5:] = 3
    np.testing.assert_array_equal(text(jnp.asarray(TOKENS))[0], text(jnp.asarray(longer))[0])


def test_text_embedding_sees_every_token_of_the_caption(text):
    embedding = text(jnp.asarray(TOKENS))[0]
    for place in (1, 2, 3):
        other = TOKENS.copy()
        other[0, place] += 10
        assert np.abs(text(jnp.asarray(other))[0] - embedding).max() > 1e-4


def test_a_shorter_padding_changes_nothing(text):
    np.testing.assert_allclose(
        text(jnp.asarray(TOKENS))[0], text(jnp.asarray(TOKENS[:, :6]))[0], atol=1e-6
    )


def test_vision_tower_sees_every_patch_and_keeps_frames_apart():
    vision = VisionTower(SMALL, rngs=nnx.Rngs(0))
    frames = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    embedding, tokens = vision(frames)
    assert embedding.shape == (2, 16) and tokens.shape == (2, 1 + 16, 32)
    for y, x in ((0, 0), (24, 8)):
        other = frames.copy()
        other[0, y : y + 8, x : x + 8] = 0.5
        changed = vision(other)[0]
        assert np.abs(changed[0] - embedding[0]).max() > 1e-4
        np.testing.assert_allclose(changed[1], embedding[1], atol=1e-6)


def test_patches_are_read_row_by_row():
    vision = VisionTower(SMALL, rngs=nnx.Rngs(0))
    frames = np.zeros((1, 32, 32, 3), np.float32)
    frames[0, 8:16, 24:32] = 1.0  # row 1, column 3 of a raster of 4 x 4
    seen = {}
    original = vision.patch_embedding

    def spy(patches: jax.Array) -> jax.Array:
        seen["patches"] = np.asarray(patches)
        return original(patches)

    vision.patch_embedding = spy
    vision(frames)
    lit = np.flatnonzero(seen["patches"][0].mean(axis=-1) > 0)
    np.testing.assert_array_equal(lit, [1 * 4 + 3])


def test_logit_scale_is_clamped():
    clip = Clip(SMALL, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(clip.logit_scale, 1 / 0.07, rtol=1e-6)
    clip.log_logit_scale[...] = jnp.float32(9.0)
    np.testing.assert_allclose(clip.logit_scale, 100.0, rtol=1e-5)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_number_of_parameters(name):
    # OpenAI's ViT-B/32 and the others, as listed in open_clip's model profiles (millions).
    published = {"vit_b32": 151.28, "vit_b16": 149.62, "vit_l14": 427.62, "vit_l14_336": 427.94}
    shapes = nnx.state(nnx.eval_shape(lambda: Clip(PRESETS[name], rngs=nnx.Rngs(0))))
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) / 1e6
    if name in published:
        assert count == pytest.approx(published[name], abs=0.01)
    else:
        assert count < 3


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="patch_size 7"):
        dataclasses.replace(SMALL, patch_size=7)
    with pytest.raises(ValueError, match="heads 3"):
        dataclasses.replace(SMALL.text, heads=3)
