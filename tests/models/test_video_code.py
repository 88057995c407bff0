"""The video code: which patches a token holds, what is stored, and what storing it loses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models import video_code
from animclip_jax.models.presets import RERANKERS
from animclip_jax.models.reranker import CODE_DTYPES, RerankerConfig
from animclip_jax.models.retriever import Retriever, RetrieverConfig
from animclip_jax.models.video_code import PackedCode, area_weights, pack, unpack
from tests.small_model import CONFIG, RERANKER, SMALL, clips


@pytest.fixture(scope="module")
def model() -> Retriever:
    return Retriever(CONFIG, rngs=nnx.Rngs(0))


def random_code(count: int = 3, scale: float = 1.0) -> jax.Array:
    drawn = np.random.default_rng(0).standard_normal((count, 15, 20))
    return jnp.asarray(scale * drawn, jnp.float32)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_int8_is_off_by_half_a_step_at_most(scale):
    code = random_code(scale=scale)
    packed = pack(code, "int8")
    assert packed.scales is not None
    assert packed.values.dtype == jnp.int8 and packed.scales.dtype == jnp.float16
    assert packed.values.shape == (3, 15, 20) and packed.scales.shape == (3, 15)
    assert np.abs(packed.values).max(axis=-1).min() >= (127 if scale >= 1 else 1)
    # Half a step; the scale itself is rounded, which the value that is clipped to 127 feels.
    error = np.abs(unpack(packed, jnp.float32) - code)
    step = np.asarray(packed.scales, np.float32)[..., None]
    assert (error <= 0.5001 * step + 1e-3 * np.abs(code)).all()
    assert error.max() > 0


def test_a_token_without_anything_is_stored_as_zeros():
    code = random_code().at[1, 4].set(0.0)
    with jax.debug_nans(True):  # 0 / 0 in between would pass unseen as int8
        packed = pack(code, "int8")
    assert np.isfinite(np.asarray(packed.scales, np.float32)).all()
    assert (unpack(packed, jnp.float32)[1, 4] == 0).all()


def test_a_large_token_does_not_coarsen_its_neighbours():
    alone = pack(random_code(), "int8")
    beside = pack(random_code().at[:, 0].multiply(1000.0), "int8")
    np.testing.assert_array_equal(alone.values[:, 1:], beside.values[:, 1:])
    assert alone.scales is not None and beside.scales is not None
    np.testing.assert_array_equal(alone.scales[:, 1:], beside.scales[:, 1:])


@pytest.mark.parametrize("dtype", CODE_DTYPES)
def test_what_is_stored_has_the_bytes_that_are_told(dtype):
    config = dataclasses.replace(RERANKER, code_dtype=dtype)
    packed = pack(random_code(1)[:, :15], dtype)
    told = video_code.stored_bytes(15, config)
    assert told == sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(packed))


def test_a_code_of_the_real_presets_fits_sixteen_kibibytes():
    for name in ("vit_b32", "vit_b16", "vit_l14", "vit_l14_336"):
        assert RERANKERS[name] == RerankerConfig()
        assert video_code.stored_bytes(12 * 5, RERANKERS[name]) == 12 * 5 * (256 + 2)


def test_bfloat16_and_codes_that_are_not_packed_pass_as_they_are():
    code = random_code()
    np.testing.assert_array_equal(
        unpack(pack(code, "bfloat16"), jnp.float32), code.astype(jnp.bfloat16).astype(jnp.float32)
    )
    assert pack(code, "bfloat16").scales is None
    np.testing.assert_array_equal(unpack(code, jnp.float32), code)


def test_the_stored_code_of_a_video_alone_is_that_in_a_batch(model):
    together = model.stored(model.encode_video(clips(3))).code
    alone = model.stored(model.encode_video(clips(3)[1:2])).code
    # A sum in another order may fall to the other side of a rounding, by one step.
    assert np.abs(together.values[1].astype(int) - alone.values[0].astype(int)).max() <= 1
    assert (together.values[1] == alone.values[0]).mean() > 0.99
    np.testing.assert_allclose(together.scales[1], alone.scales[0], rtol=2e-3)


def test_scores_of_stored_codes_are_nearly_those_of_codes(model):
    trained = nnx.clone(model)
    trained.reranker.head_out.kernel[...] = jax.random.normal(jax.random.key(1), (24, 1))
    video, text = trained.encode_video(clips(3)), trained.encode_text(jnp.full((3, 12), 7))
    stored = trained.stored(video)
    assert isinstance(stored.code, PackedCode)
    plain, packed = (np.asarray(trained.fine_scores(text, v)) for v in (video, stored))
    assert 0 < np.abs(plain - packed).max() < 0.05 * np.abs(plain).max()


@pytest.mark.parametrize("tokens, count", [("cls", 1), ("pooled", 5), ("all", 17)])
def test_tokens_of_a_frame(tokens, count):
    config = dataclasses.replace(RERANKER, tokens=tokens)
    coder = video_code.VideoCoder(SMALL, config, 3, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 3, 17, 32))
    code = coder(x)
    assert code.shape == (2, 3 * count, 20) and config.tokens_a_frame(SMALL.grid) == count
    changed = coder(x.at[:, :, 7].multiply(-1.0))  # a patch
    assert (np.abs(changed - code).max() > 1e-3) == (tokens != "cls")


def test_pooled_tokens_cover_their_quarter_of_the_frame(model):
    B, T, N, D = 1, 3, 16, 32
    tokens = np.zeros((B, T, 1 + N, D), np.float32)
    rows = np.arange(N).reshape(4, 4)
    tokens[0, 0, 1 + rows[:2, 2:].ravel()] = np.linspace(-1, 1, D)  # the upper right quarter
    base = model.coder(jnp.zeros_like(tokens))
    changed = np.abs(model.coder(jnp.asarray(tokens)) - base).max(axis=-1)[0]
    np.testing.assert_array_equal(np.flatnonzero(changed > 1e-3), [2])


def test_a_raster_that_does_not_divide_the_patches_shares_those_on_its_borders():
    # 7 patches a side, ViT-B/32's, in 2 parts: the middle one is half each one's.
    wanted = np.array([[2, 2, 2, 1, 0, 0, 0], [0, 0, 0, 1, 2, 2, 2]]) / 7
    np.testing.assert_allclose(area_weights(7, 2), wanted, atol=1e-6)
    np.testing.assert_array_equal(area_weights(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    for grid, cells in ((7, 3), (14, 4), (24, 5), (16, 16)):
        np.testing.assert_allclose(area_weights(grid, cells).sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(area_weights(grid, cells).sum(axis=0), cells / grid, rtol=1e-6)


def test_a_raster_finer_than_the_patches_is_refused():
    with pytest.raises(ValueError, match="pooled_grid is 5, wanted 1 to 4"):
        Retriever(RetrieverConfig(SMALL, RerankerConfig(pooled_grid=5), 3), rngs=nnx.Rngs(0))
