"""Stage one against a full sort, over several chunks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from animclip_jax.evaluation import metrics
from animclip_jax.retrieval import coarse
from animclip_jax.retrieval.coarse import coarse_stage, top_k


def whole_numbers(random, *shape):
    """Their products are exact in float32, in whatever order they are added; many are equal."""
    return random.integers(-3, 4, shape).astype(np.float32)


@pytest.mark.parametrize("groups_once", [False, True])
def test_equals_a_full_sort_over_chunks(monkeypatch, split, groups_once):
    monkeypatch.setattr(coarse, "MAX_QUERIES", 4)
    random = np.random.default_rng(0)
    for queries, items in ((11, 37), (1, 5), (8, 3)):
        query, gallery = whole_numbers(random, queries, 8), whole_numbers(random, items, 8)
        groups = random.integers(0, 9, queries), random.integers(0, 9, items)
        found = coarse_stage(query, gallery, *groups, 5, split, groups_once=groups_once)
        scores = query @ gallery.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        np.testing.assert_array_equal(found.candidates, best)
        np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, best, axis=1))
        right = groups[0][:, None] == groups[1]
        wanted = metrics.ranks(scores, right, groups[1] if groups_once else None)
        np.testing.assert_array_equal(found.ranks, wanted)


def test_many_items_are_scored_for_fewer_queries_at_once(monkeypatch, split):
    random = np.random.default_rng(0)
    query, gallery = whole_numbers(random, 7, 8), whole_numbers(random, 30, 8)
    groups = np.arange(7), np.arange(30)
    wanted = coarse_stage(query, gallery, *groups, 4, split)
    shapes = []
    real = coarse.compiled

    def noted(*how):
        def call(*given):
            shapes.append(given[0].shape)
            return real(*how)(*given)

        return call

    monkeypatch.setattr(coarse, "MAX_SCORES", 64)
    monkeypatch.setattr(coarse, "compiled", noted)
    found = coarse_stage(query, gallery, *groups, 4, split)
    assert shapes == [(2, 8)] * 4
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_oracle_ranks_every_query_first(split):
    items = np.eye(9, dtype=np.float32)
    found = coarse_stage(items, items, np.arange(9), np.arange(9), 3, split)
    assert (found.ranks == 1).all() and (found.candidates[:, 0] == np.arange(9)).all()


@pytest.mark.parametrize("approximate", [None, True])
def test_a_gallery_in_chunks_equals_a_full_sort(monkeypatch, split, tmp_path, approximate):
    monkeypatch.setattr(coarse, "CHUNK", 8)
    monkeypatch.setattr(coarse, "MAX_SCORES", 40)
    random = np.random.default_rng(0)
    for queries, items, k in ((11, 37, 5), (1, 8, 12), (3, 9, 9), (2, 1, 1)):
        query, gallery = whole_numbers(random, queries, 8), whole_numbers(random, items, 8)
        np.save(tmp_path / "gallery.npy", gallery.astype(np.float16))
        mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
        found, values = top_k(query, mapped, k, split, approximate=approximate)
        scores = query @ gallery.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(found, best)
        np.testing.assert_array_equal(values, np.take_along_axis(scores, best, axis=1))


@pytest.mark.parametrize("approximate", [None, True])
def test_only_items_that_are_allowed_are_found_before_the_best_are_chosen(
    monkeypatch, split, approximate
):
    monkeypatch.setattr(coarse, "CHUNK", 8)
    random = np.random.default_rng(0)
    query, gallery = whole_numbers(random, 3, 8), whole_numbers(random, 37, 8)
    scores = query @ gallery.T
    for allowed in (random.random(37) < 0.5, np.arange(37) == 36, np.arange(37) < 3):
        for given in (gallery, coarse.hold(gallery, split)):
            found, values = top_k(query, given, 5, split, approximate=approximate, allowed=allowed)
            some = np.where(allowed, scores, -np.inf)
            best = np.argsort(-some, axis=1, kind="stable")[:, : min(5, allowed.sum())]
            np.testing.assert_array_equal(found[:, : best.shape[1]], best)
            np.testing.assert_array_equal(values, -np.sort(-some, axis=1)[:, :5])


def test_held_galleries_of_nearly_one_size_share_their_programs(split):
    random = np.random.default_rng(0)
    query, gallery = whole_numbers(random, 1, 8), whole_numbers(random, 1002, 8)
    better: Any = coarse._better
    programs = set()
    for items in (1000, 1001, 1002):
        held, allowed = coarse.hold(gallery[:items], split), np.arange(items) % 3 == 0
        for may in (None, allowed):
            found, values = top_k(query, held, 50, split, allowed=may)
            best, wanted = _sorted(query, gallery[:items], may, 50)
            np.testing.assert_array_equal(found, best)
            np.testing.assert_array_equal(values, wanted)
        programs.add(better._cache_size())
    assert len(programs) == 1
    for items in (1, 7, 300):
        found, values = top_k(query, coarse.hold(gallery[:items], split), 50, split)
        best, wanted = _sorted(query, gallery[:items], None, 50)
        np.testing.assert_array_equal(found, best)
        np.testing.assert_array_equal(values, wanted)


def _sorted(query, gallery, allowed, k):
    scores = query @ gallery.T
    scores = scores if allowed is None else np.where(allowed, scores, -np.inf)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return best, np.take_along_axis(scores, best, axis=1)


@pytest.mark.parametrize("items", [640, 1000, 100])
def test_the_best_of_blocks_are_the_best_of_all_equals_too(items):
    random = np.random.default_rng(0)
    scores = jnp.asarray(whole_numbers(random, 50, items)).at[0, 3:].set(-jnp.inf)
    # The best block comes last, and has an equal of what is in an earlier one.
    scores = scores.at[1].set(-9).at[1, 70].set(3).at[1, 608:610].set(jnp.array([5, 3]))
    found = coarse.largest(scores, 4)
    for one, other in zip(found, jax.lax.top_k(scores, 4), strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_numbers_differ_only_where_scores_nearly_tie(split):
    random = np.random.default_rng(0)
    query, gallery = random.standard_normal((2, 301, 16)).astype(np.float32)
    query, gallery = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery))
    scores = query.astype(np.float64) @ gallery.T.astype(np.float64)
    best = np.argsort(-scores, axis=1)[:, :20]
    wanted = np.take_along_axis(scores, best, axis=1)
    stage = coarse_stage(query, gallery, np.arange(301), np.arange(301), 20, split)
    for found, values in (top_k(query, gallery, 20, split), (stage.candidates, stage.scores)):
        np.testing.assert_allclose(values, wanted, atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(scores, found, axis=1), wanted, atol=1e-6)
        assert (np.sort(found, axis=1)[:, 1:] > np.sort(found, axis=1)[:, :-1]).all()


def test_the_order_of_the_gallery_changes_nothing(split):
    random = np.random.default_rng(0)
    query, gallery = random.standard_normal((2, 40, 16)).astype(np.float32)
    order = random.permutation(40)
    found = coarse_stage(query, gallery, np.arange(40), np.arange(40), 10, split)
    again = coarse_stage(query, gallery[order], np.arange(40), order, 10, split)
    np.testing.assert_array_equal(order[again.candidates], found.candidates)
    np.testing.assert_array_equal(again.ranks, found.ranks)
