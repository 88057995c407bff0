"""DSL and QB-Norm against their definitions, written out as loops."""

import numpy as np
import pytest

from animclip_jax.retrieval import normalization
from animclip_jax.retrieval.coarse import coarse_stage
from animclip_jax.retrieval.normalization import measure, normalized_fused


def unit(random, count):
    x = random.standard_normal((count, 12)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def dsl(scores, bank, temperature):
    changed = np.empty_like(scores)
    for q, j in np.ndindex(scores.shape):
        changed[q, j] = scores[q, j] * np.exp(temperature * scores[q, j])
        changed[q, j] /= np.exp(temperature * bank[:, j]).sum()
    return changed


def qb_norm(scores, bank, temperature):
    activated = {int(row.argmax()) for row in bank}
    changed = scores.copy()
    for q, row in enumerate(scores):
        if int(row.argmax()) in activated:
            changed[q] = temperature * row - np.log(np.exp(temperature * bank).sum(axis=0))
    return changed


@pytest.mark.parametrize("kind, by_hand", [("dsl", dsl), ("qb_norm", qb_norm)])
def test_equals_its_definition(split, monkeypatch, kind, by_hand):
    monkeypatch.setattr(normalization, "CHUNK", 3)
    random = np.random.default_rng(0)
    queries, gallery, bank = unit(random, 7), unit(random, 19), unit(random, 5)
    bank = queries if kind == "dsl" else bank
    by = measure(kind, bank, gallery, 20.0, split)
    found = coarse_stage(queries, gallery, np.arange(7), np.arange(19), 19, split, normalization=by)
    scores, seen = (x.astype(np.float64) @ gallery.T.astype(np.float64) for x in (queries, bank))
    wanted = by_hand(scores, seen, 20.0)
    np.testing.assert_array_equal(found.candidates, np.argsort(-wanted, axis=1))
    np.testing.assert_allclose(found.scores, -np.sort(-wanted, axis=1), rtol=2e-4, atol=1e-6)
    own = wanted[np.arange(7), np.arange(7)]
    np.testing.assert_array_equal(found.ranks, (wanted >= own[:, None]).sum(axis=1))
    if kind == "qb_norm":
        changed = (wanted != scores).any(axis=1)
        assert changed.any() and not changed.all()


def test_no_two_scores_are_equal_because_both_are_tiny(split):
    """By CLIP's temperature, a softmax has values that float32 can't hold; equals rank last."""
    random = np.random.default_rng(0)
    queries, gallery = unit(random, 40), unit(random, 40)
    by = measure("dsl", queries, gallery, 100.0, split)
    some = np.arange(40)
    found = coarse_stage(queries, gallery, some, some, 40, split, normalization=by)
    scores = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    wanted = dsl(scores, scores, 100.0)
    assert (np.abs(wanted) < np.finfo(np.float32).tiny).any()
    np.testing.assert_array_equal(found.ranks, (wanted >= wanted[some, some, None]).sum(axis=1))
    np.testing.assert_array_equal(found.candidates, np.argsort(-wanted, axis=1))


def test_none_is_none(split):
    assert measure("none", np.eye(2), np.eye(2), 1.0, split) is None


def test_fused_scores_lose_what_their_items_are_near_to_everything(split):
    random = np.random.default_rng(0)
    queries, gallery, bank = unit(random, 7), unit(random, 19), unit(random, 5)
    fused = random.standard_normal((7, 2))
    candidates = random.integers(0, 19, (7, 2))
    nearest = (queries @ gallery.T).argmax(axis=1)
    by = measure("qb_norm", bank, gallery, 20.0, split)
    assert by is not None
    activated = set((bank @ gallery.T).argmax(axis=1).tolist())
    lowered = fused - np.log(np.exp(20 * bank @ gallery.T).sum(axis=0))[candidates]
    found = normalized_fused(fused, candidates, nearest, by)
    for q in range(7):
        wanted = lowered[q] if nearest[q] in activated else fused[q]
        np.testing.assert_allclose(found[q], wanted, rtol=1e-4)
    by = by._replace(activated=None)
    np.testing.assert_allclose(normalized_fused(fused, candidates, nearest, by), lowered, rtol=1e-4)
