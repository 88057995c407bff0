"""The re-ranker and its baseline: buckets, order, options, and what it takes from a text tower."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.models.reranker import (
    Reader,
    Reranker,
    RerankerConfig,
    caption_buckets,
    start_from_text_tower,
)
from animclip_jax.models.retriever import Retriever, RetrieverConfig
from animclip_jax.models.tight import TightTransformer
from animclip_jax.training import losses
from tests.small_model import CONFIG, RERANKER, SMALL, assert_reached, captions, clips

KEY = jax.random.key(0)
TIGHT = dataclasses.replace(RERANKER, interaction="tight", tokens="cls")
INTERACTIONS = {"cross": RERANKER, "tight": TIGHT}


@functools.cache
def retriever(reranker: RerankerConfig, trained: bool = False) -> Retriever:
    """A model of SMALL's size, its score head zero or no longer so; built once."""
    model = Retriever(dataclasses.replace(CONFIG, reranker=reranker), rngs=nnx.Rngs(0))
    if trained:
        scorer: Any = model.reranker
        open_head(scorer)
    return model


def open_head(scorer: Reranker | TightTransformer) -> None:
    kernel = scorer.head_out.kernel
    kernel[...] = jax.random.normal(jax.random.key(1), kernel.shape)


@functools.cache
def long_scorer(kind: str) -> Reranker | TightTransformer:
    """A re-ranker for captions of up to 77 tokens, its score head no longer zero."""
    clip = dataclasses.replace(SMALL, context_length=77)
    make: dict[str, type[Reranker | TightTransformer]]
    make = {"cross": Reranker, "tight": TightTransformer}
    scorer = make[kind](clip, INTERACTIONS[kind], rngs=nnx.Rngs(3))
    open_head(scorer)
    return scorer


@pytest.fixture(scope="module", params=INTERACTIONS)
def trained(request) -> Retriever:
    return retriever(INTERACTIONS[request.param], trained=True)


def features(model: Retriever, count: int = 4):
    return model.encode_text(captions(count)), model.encode_video(clips(count))


def all_pairs(model: Retriever, text, video) -> np.ndarray:
    """Ranking scores [captions, videos]."""
    rows, columns = (x.ravel() for x in np.mgrid[: len(text.mask), : len(video.embedding)])
    pairs = jax.tree.map(lambda x: x[rows], text), jax.tree.map(lambda x: x[columns], video)
    return np.asarray(model.fused_scores(*pairs)).reshape(len(text.mask), -1)


def test_buckets_are_the_least_that_hold_a_caption():
    lengths = np.array([[2, 9, 13, 17], [8, 32, 33, 77]])
    wanted = [[8, 12, 16, 32], [8, 32, 77, 77]]
    np.testing.assert_array_equal(caption_buckets(lengths, 77), wanted)
    np.testing.assert_array_equal(caption_buckets(np.array([3, 16, 17, 24]), 24), [8, 16, 24, 24])
    np.testing.assert_array_equal(caption_buckets(np.array([3, 7]), 7), [7, 7])
    with pytest.raises(ValueError, match="25 tokens, wanted at most 24"):
        caption_buckets(np.array([25]), 24)


@pytest.mark.parametrize("kind", INTERACTIONS)
@pytest.mark.parametrize("length", [2, 9, 16, 20, 32, 50])
def test_a_caption_in_its_bucket_scores_as_one_padded_to_the_context_length(kind, length):
    scorer = long_scorer(kind)
    rng = np.random.default_rng(length)
    # What stands behind the end token is whatever the tower makes of padding: not zeros.
    hidden = jnp.asarray(rng.standard_normal((3, 77, 32)), jnp.float32)
    code = jnp.asarray(rng.standard_normal((3, 15, 20)), jnp.float32)
    mask = jnp.broadcast_to(jnp.arange(77) < length, (3, 77))
    bucket = caption_buckets(np.array(length), 77)
    whole = scorer(hidden, mask, code)
    np.testing.assert_allclose(
        scorer(hidden[:, :bucket], mask[:, :bucket], code), whole, rtol=1e-4, atol=1e-5
    )
    assert np.abs(whole - scorer(hidden, jnp.arange(77) < mask.sum(1)[:, None] + 1, code)).max() > (
        1e-4
    ), "the mask is looked at"


@pytest.mark.parametrize("kind", INTERACTIONS)
@pytest.mark.parametrize("length", [5, 20])
def test_a_caption_that_all_pairs_share_scores_as_one_given_for_each(kind, length):
    scorer = long_scorer(kind)
    rng = np.random.default_rng(length)
    hidden = jnp.asarray(rng.standard_normal((1, length, 32)), jnp.float32)
    code = jnp.asarray(rng.standard_normal((4, 15, 20)), jnp.float32)
    mask = jnp.arange(length)[None] < length - 2
    for_each = jnp.broadcast_to(hidden, (4, length, 32)), jnp.broadcast_to(mask, (4, length))
    wanted = scorer(*for_each, code)
    np.testing.assert_allclose(scorer(hidden, mask, code), wanted, rtol=1e-5, atol=1e-5)
    assert np.ptp(wanted) > 1e-2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_reader_that_projects_a_captions_tokens_finds_what_one_that_projects_the_code_does(dtype):
    rngs = nnx.Rngs(0)
    reader = Reader(RERANKER, jnp.dtype(dtype), rngs)
    for bias in (reader.query.bias, reader.key_value.bias, reader.out.bias):
        assert bias is not None
        bias[...] = jax.random.normal(rngs.params(), bias.shape)
    x = jax.random.normal(rngs.params(), (3, 8, 24), dtype)
    code = jax.random.normal(rngs.params(), (3, 60, 20), dtype)
    found, wanted = reader.read(x, code), reader(x, memory=code)
    assert found.dtype == wanted.dtype == dtype
    assert np.any(found != wanted), "computed in the other order"
    largest = {"float32": 1e-5, "bfloat16": 0.1}[dtype]
    np.testing.assert_allclose(found.astype("f4"), wanted.astype("f4"), atol=largest)
    long = jnp.tile(x, (1, 20, 1))
    np.testing.assert_array_equal(reader.read(long, code), reader(long, memory=code))


def test_scores_follow_the_candidates_wherever_they_stand(trained):
    text, video = features(trained)
    scores = all_pairs(trained, text, video)
    order = np.array([2, 0, 3, 1])
    shuffled = all_pairs(trained, text, jax.tree.map(lambda x: x[order], video))
    np.testing.assert_allclose(shuffled, scores[:, order], atol=1e-4)
    assert np.abs(scores - scores[:, order]).max() > 1e-2


@pytest.mark.parametrize("kind", INTERACTIONS)
def test_at_the_start_the_order_is_the_coarse_one_in_both_directions(kind):
    model = retriever(INTERACTIONS[kind])
    text, video = features(model)
    coarse = text.embedding @ video.embedding.T
    fused = all_pairs(model, text, video)
    np.testing.assert_allclose(fused, model.clip.logit_scale * coarse, rtol=1e-5)
    for axis in (0, 1):
        np.testing.assert_array_equal(np.argsort(fused, axis), np.argsort(coarse, axis))


def test_without_fusion_the_fine_score_ranks_alone():
    model = retriever(dataclasses.replace(RERANKER, fusion=False), trained=True)
    fused = retriever(RERANKER, trained=True)
    text, video = features(model)
    fine = model.fine_scores(text, video)
    coarse = model.coarse_logits(text.embedding, video.embedding)
    np.testing.assert_array_equal(model.fused_scores(text, video), fine)
    np.testing.assert_allclose(model.beyond_coarse(text, video), fine - coarse, rtol=1e-6)
    np.testing.assert_allclose(fused.fused_scores(text, video), fine + coarse, rtol=1e-6)
    np.testing.assert_array_equal(fused.beyond_coarse(text, video), fine)


@pytest.mark.parametrize("train_text", [True, False])
def test_the_matching_loss_reaches_the_text_tower_or_not(train_text):
    model = retriever(dataclasses.replace(RERANKER, train_text=train_text), trained=True)
    text, video = features(model)

    def loss(hidden: jax.Array) -> jax.Array:
        return model.beyond_coarse(text._replace(hidden=hidden), video).sum()

    assert (np.abs(jax.grad(loss)(text.hidden)).max() > 0) == train_text


@pytest.mark.parametrize("kind", INTERACTIONS)
@pytest.mark.parametrize("fusion", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_first_step_moves_the_head_and_the_second_every_part(kind, fusion):
    model = retriever(dataclasses.replace(INTERACTIONS[kind], fusion=fusion))
    graphdef, state = nnx.split(model)
    config = losses.LossConfig(1.0, 2, matching="binary")  # which also moves the head's bias

    @jax.jit
    @jax.grad
    def gradient(params: dict) -> jax.Array:
        model = nnx.merge(graphdef, params)
        text, video = features(model)
        logits = model.clip.logit_scale * text.embedding @ video.embedding.T
        return losses.matching(model, text, video, logits, jnp.eye(4, dtype=bool), KEY, config)

    params = nnx.to_pure_dict(state)
    first = gradient(params)
    assert np.abs(first["reranker"]["head_out"]["kernel"]).max() > 1e-4
    second = gradient(jax.tree.map(lambda p, g: p - 0.1 * g, params, first))
    for part in ("reranker", "coder"):
        assert_reached(second[part], part)


def test_frames_and_caption_meet_in_the_tight_transformer():
    model = retriever(TIGHT, trained=True)
    text, video = features(model)
    assert video.code.shape == (4, 3, 20), "a token a frame"
    scores = model.fine_scores(text, video)
    swapped = model.fine_scores(text, video._replace(code=video.code[::-1]))
    assert np.abs(scores - swapped).max() > 1e-3
    # As in CLIP4Clip the caption is one token, its last.
    other = text._replace(hidden=text.hidden.at[:, 2].add(1.0))
    np.testing.assert_array_equal(model.fine_scores(other, video), scores)


def wide(**changes) -> RetrieverConfig:
    """A model whose re-ranker is as wide as its text tower, of two layers each."""
    config = RerankerConfig(2, 32, 2, 64, code_width=20, pooled_grid=2)
    return RetrieverConfig(SMALL, dataclasses.replace(config, **changes), num_frames=3)


def params_of(config: RetrieverConfig) -> dict:
    return nnx.to_pure_dict(nnx.state(Retriever(config, rngs=nnx.Rngs(0))))


def test_caption_layers_start_as_the_text_towers_last():
    before = params_of(wide(layers=1))
    after = start_from_text_tower(before)
    tower = before["clip"]["text"]["transformer"]["blocks"]["layers"]
    blocks = after["reranker"]["blocks"]["layers"]
    for part, source in (
        ("norm_self", "norm_1"),
        ("self_attention", "attention"),
        ("norm_mlp", "norm_2"),
        ("mlp", "mlp"),
    ):
        jax.tree.map(
            lambda new, old: np.testing.assert_array_equal(new[0], old[-1]),
            blocks[part],
            tower[source],
        )
    np.testing.assert_array_equal(after["reranker"]["text_projection"]["kernel"], np.eye(32))
    for part in ("cross_attention", "gate", "norm_cross"):
        assert blocks[part] is before["reranker"]["blocks"]["layers"][part]
    jax.tree.map(lambda old, new: None, before, after)  # an error where they differ
    assert np.abs(before["reranker"]["text_projection"]["kernel"] - np.eye(32)).max() > 0.1


def test_only_parts_of_equal_shapes_are_taken_from_the_text_tower():
    before = params_of(wide(mlp_width=48))
    blocks = before["reranker"]["blocks"]["layers"]
    after = start_from_text_tower(before)["reranker"]["blocks"]["layers"]
    np.testing.assert_array_equal(
        after["self_attention"]["out"]["kernel"],
        before["clip"]["text"]["transformer"]["blocks"]["layers"]["attention"]["out"]["kernel"],
    )
    assert after["mlp"]["up"]["kernel"] is blocks["mlp"]["up"]["kernel"]
    assert after["norm_mlp"]["scale"] is blocks["norm_mlp"]["scale"]
    # Equal widths in other heads, more layers than the tower has: nothing is taken.
    for config in (wide(heads=4, mlp_width=48), wide(layers=3), CONFIG):
        before = params_of(config)
        after = start_from_text_tower(before)
        same = jax.tree.map(lambda new, old: new is old, after, before)
        assert all(jax.tree.leaves(same))


def test_a_tight_transformer_takes_nothing_from_the_text_tower():
    before = params_of(wide(interaction="tight"))
    assert start_from_text_tower(before) is before


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"interaction": "loose"}, "reranker.interaction 'loose': wanted one of cross, tight"),
        ({"tokens": "some"}, "reranker.tokens 'some': wanted one of cls, pooled, all"),
        ({"code_dtype": "int4"}, "reranker.code_dtype 'int4': wanted one of int8, bfloat16"),
        ({"width": 30}, "reranker.width 30 is not a multiple of reranker.heads 4"),
        ({"heads": 0}, "reranker.heads 0: wanted a whole number from 1 to"),
        ({"layers": 0}, "reranker.layers 0: wanted"),
        ({"width": -256}, "reranker.width -256: wanted"),
        ({"mlp_width": 0}, "reranker.mlp_width 0: wanted"),
        ({"code_width": 64.0}, "reranker.code_width 64.0: wanted"),
        ({"pooled_grid": 0}, "reranker.pooled_grid 0: wanted"),
    ],
)
def test_options_that_are_none_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RerankerConfig(**changes)


def test_bfloat16_scores_pairs_too():
    clip = dataclasses.replace(SMALL, dtype="bfloat16")
    for config in INTERACTIONS.values():
        model = Retriever(RetrieverConfig(clip, config, 3), rngs=nnx.Rngs(0))
        text, video = features(model)
        assert model.fused_scores(text, model.stored(video)).dtype == jnp.float32


@pytest.mark.parametrize("name", ["vit_b32", "vit_b16", "vit_l14", "vit_l14_336"])
def test_a_pair_of_sixteen_caption_tokens_costs_at_most_a_fifth_of_a_gigaflop(name):
    clip, config = PRESETS[name], RERANKERS[name]
    reranker = nnx.eval_shape(lambda: Reranker(clip, config, rngs=nnx.Rngs(0)))
    M, L = 12 * config.tokens_a_frame(clip.grid), 16
    dense = {"query": L, "key_value": M, "out": L, "up": L, "down": L, "text_projection": L}
    products = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(reranker))):
        name = jax.tree_util.keystr(path)
        if "kernel" in name:
            rows = next((rows for part, rows in dense.items() if f"'{part}'" in name), 1)
            rows = L if "self_attention" in name else rows
            products += rows * np.prod(leaf.shape)
    attention = 2 * L * config.width * (config.layers * (L + M) + M)
    assert 2 * (products + attention) <= 0.2e9
