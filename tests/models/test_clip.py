"""CLIP's towers: causality by gradients, pooling, padding, sizes."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models.clip import Clip, ClipConfig, TextTower, VisionTower
from animclip_jax.models.presets import PRESETS
from tests.small_model import SMALL

TOKENS = np.array([[98, 5, 6, 7, 99, 0, 0, 0, 0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def text() -> TextTower:
    return TextTower(SMALL, rngs=nnx.Rngs(0))


def test_text_tower_is_causal(text):
    def hidden_at(table: jax.Array, place: int) -> jax.Array:
        graphdef, _ = nnx.split(text)
        state: Any = nnx.state(text)
        state["token_embedding"]["embedding"] = state["token_embedding"]["embedding"].replace(table)
        return nnx.merge(graphdef, state)(jnp.asarray(TOKENS))[1][0, place].sum()

    table = text.token_embedding.embedding[...]
    gradient = jax.grad(hidden_at)(table, 2)
    touched = np.flatnonzero(np.abs(gradient).sum(axis=1))
    np.testing.assert_array_equal(touched, [5, 6, 98])


def test_text_embedding_has_no_gradient_at_what_follows_the_end_token(text):
    tokens = TOKENS.copy()
    tokens[0, 5:] = 3

    def embedding(table: jax.Array, positions: jax.Array) -> jax.Array:
        graphdef, _ = nnx.split(text)
        state: Any = nnx.state(text)
        state["token_embedding"]["embedding"] = state["token_embedding"]["embedding"].replace(table)
        state["position_embedding"] = state["position_embedding"].replace(positions)
        return (nnx.merge(graphdef, state)(jnp.asarray(tokens))[0] * jnp.arange(16)).sum()

    table, positions = text.token_embedding.embedding[...], text.position_embedding[...]
    by_token, by_place = jax.grad(embedding, argnums=(0, 1))(table, positions)
    touched = [np.flatnonzero(np.abs(x).sum(axis=1)) for x in (by_token, by_place)]
    np.testing.assert_array_equal(touched[0], [5, 6, 7, 98, 99])
    np.testing.assert_array_equal(touched[1], [0, 1, 2, 3, 4])


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
    embedding, tokens = vision(jnp.asarray(frames))
    assert embedding.shape == (2, 16) and tokens.shape == (2, 1 + 16, 32)
    for y, x in ((0, 0), (24, 8)):
        other = frames.copy()
        other[0, y : y + 8, x : x + 8] = 0.5
        changed = vision(jnp.asarray(other))[0]
        assert np.abs(changed[0] - embedding[0]).max() > 1e-4
        np.testing.assert_allclose(changed[1], embedding[1], atol=1e-6)


def test_patches_are_read_row_by_row(monkeypatch):
    vision = VisionTower(SMALL, rngs=nnx.Rngs(0))
    frames = np.zeros((1, 32, 32, 3), np.float32)
    frames[0, 8:16, 24:32] = 1.0  # row 1, column 3 of a raster of 4 x 4
    seen = {}
    original = vision.patch_embedding

    def spy(patches: jax.Array) -> jax.Array:
        seen["patches"] = np.asarray(patches)
        return original(patches)

    monkeypatch.setattr(vision, "patch_embedding", spy)
    vision(jnp.asarray(frames))
    lit = np.flatnonzero(seen["patches"][0].mean(axis=-1) > 0)
    np.testing.assert_array_equal(lit, [1 * 4 + 3])


def test_logit_scale_is_clamped():
    clip = Clip(SMALL, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(clip.logit_scale, 1 / 0.07, rtol=1e-6)
    clip.log_logit_scale[...] = jnp.float32(9.0)
    np.testing.assert_allclose(clip.logit_scale, 100.0, rtol=1e-5)
    # Where a step leaves it (losses.cut_scale), and from where it may come down.
    clip.log_logit_scale[...] = jnp.float32(math.log(100))
    gradient = nnx.to_pure_dict(nnx.grad(lambda clip: jnp.log(clip.logit_scale))(clip))
    np.testing.assert_allclose(gradient["log_logit_scale"], 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_published_number_of_parameters(name):
    # OpenAI's ViT-B/32 and the others, as listed in open_clip's model profiles (millions).
    published = {"vit_b32": 151.28, "vit_b16": 149.62, "vit_l14": 427.62, "vit_l14_336": 427.94}
    # As open_clip 3.3.0 builds PE-Core, without the biases of the projection that Meta has not.
    published |= {"pe_core_t16_384": 69.55, "pe_core_s16_384": 87.19, "pe_core_b16": 447.66}
    published |= {"pe_core_l14_336": 671.14, "pe_core_g14_448": 2419.27}
    # As transformers 5.24 builds SigLIP.
    published |= {"siglip_b16_224": 203.16, "siglip2_b16_224": 375.19, "siglip2_b32_256": 376.86}
    published |= {"siglip_l16_256": 652.15, "siglip2_l16_256": 881.53}
    published |= {"siglip_so400m14_224": 877.36, "siglip_so400m14_378": 877.96}
    published |= {"siglip2_so400m14_378": 1136.01, "siglip2_so400m16_256": 1135.67}
    # As VideoPrism's own modules have them, and the temperature.
    published |= {"videoprism_b": 247.62, "videoprism_l": 579.88}
    published |= {"siglip2_gopt16_256": 1871.39, "siglip2_gopt16_384": 1871.89}
    shapes = nnx.state(nnx.eval_shape(lambda: Clip(PRESETS[name], rngs=nnx.Rngs(0))))
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) / 1e6
    if name in published:
        assert count == pytest.approx(published[name], abs=0.01)
    elif name in ("tiny", "small"):
        assert count < {"tiny": 3, "small": 30}[name]
    else:  # Pictures of another size: by a row a patch more.
        base = min(other for other in published if other.startswith(name.rpartition("_")[0]))
        rows = PRESETS[name].grid ** 2 - PRESETS[base].grid ** 2
        added = rows * PRESETS[name].vision.width / 1e6
        assert count == pytest.approx(published[base] + added, abs=0.01)


def outputs(config: ClipConfig) -> tuple[jax.Array, dict]:
    """Embeddings of both towers and the gradient of a sum of them, with the same parameters."""
    graphdef, state = nnx.split(Clip(config, rngs=nnx.Rngs(0)))
    frames = jnp.asarray(np.random.default_rng(0).random((2, 32, 32, 3), np.float32))

    def embeddings(params: dict) -> tuple[jax.Array, jax.Array]:
        model = nnx.merge(graphdef, params)
        both = jnp.concatenate([model.vision(frames)[0], model.text(jnp.asarray(TOKENS))[0]])
        return jnp.sum(both * jnp.arange(16)), both

    params = nnx.to_pure_dict(state)
    gradient, both = jax.jit(jax.grad(embeddings, has_aux=True))(params)
    return both, gradient


def saved_bytes(config: ClipConfig) -> int:
    """Memory that the backward pass needs beside its inputs and outputs."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: Clip(config, rngs=nnx.Rngs(0))))
    frames = jax.ShapeDtypeStruct((16, config.image_size, config.image_size, 3), jnp.float32)

    def loss(params: dict, frames: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, params).vision(frames)[0].sum()

    compiled = jax.jit(jax.grad(loss)).lower(nnx.to_pure_dict(state), frames).compile()
    found: Any = compiled.memory_analysis()
    return found.temp_size_in_bytes


@pytest.mark.parametrize("remat", ["block", "dots"])
def test_remat_changes_memory_and_no_value(remat):
    plain, other = outputs(SMALL), outputs(dataclasses.replace(SMALL, remat=remat))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(a).max() + 1e-7)


def test_remat_policies_need_less_memory_in_their_order():
    deep = dataclasses.replace(SMALL, vision=dataclasses.replace(SMALL.vision, layers=8))
    none, dots, block = (
        saved_bytes(dataclasses.replace(deep, remat=remat)) for remat in ("none", "dots", "block")
    )
    assert none > 1.2 * dots > 1.2 * 1.2 * block


def test_bfloat16_keeps_parameters_embeddings_and_softmax_in_float32():
    half = dataclasses.replace(SMALL, dtype="bfloat16")
    model = Clip(half, rngs=nnx.Rngs(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {jnp.dtype("float32")}
    frames = jnp.zeros((2, 32, 32, 3))
    program = str(jax.make_jaxpr(lambda m, x: m.vision(x))(model, frames))
    exponents = [line for line in program.splitlines() if "= exp " in line]
    products = [line for line in program.splitlines() if "= dot_general" in line]
    norms = [line for line in program.splitlines() if "= rsqrt " in line]
    assert exponents and all(":f32[" in line for line in exponents + norms)
    assert products and any(":bf16[" in line for line in products)
    embedding, tokens = model.vision(frames)
    assert embedding.dtype == jnp.float32 and tokens.dtype == jnp.bfloat16
    (a, _), (b, _) = outputs(SMALL), outputs(half)
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()


def test_the_activation_is_the_one_that_is_named():
    quick, exact = (
        outputs(dataclasses.replace(SMALL, activation=name))[0] for name in ("quick_gelu", "gelu")
    )
    assert 1e-5 < np.abs(quick - exact).max() < 0.05
    np.testing.assert_allclose(outputs(SMALL)[0], quick)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="patch_size 7"):
        dataclasses.replace(SMALL, patch_size=7)
    with pytest.raises(ValueError, match="heads 3"):
        dataclasses.replace(SMALL.text, heads=3)
    for name, possible in (
        ("activation", "quick_gelu, gelu"),
        ("dtype", "float32, bfloat16"),
        ("remat", "none, block, dots"),
        ("attention", "auto, xla, kernel"),
    ):
        with pytest.raises(ValueError, match=f"{name} 'other': wanted one of {possible}"):
            changed: Any = {name: "other"}
            dataclasses.replace(SMALL, **changed)
