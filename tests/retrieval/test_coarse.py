"""Stage one against a full sort, over several chunks."""

import numpy as np

from animclip_jax.retrieval import coarse
from animclip_jax.retrieval.coarse import coarse_stage


def test_equals_a_full_sort_over_chunks(monkeypatch):
    monkeypatch.setattr(coarse, "CHUNK", 4)
    random = np.random.default_rng(0)
    # Whole numbers: their products are exact in float32, in whatever order they are added.
    queries = random.integers(-8, 9, (11, 16)).astype(np.float32)
    gallery = random.integers(-8, 9, (37, 16)).astype(np.float32)
    groups = random.integers(0, 9, 11), random.integers(0, 9, 37)
    found = coarse_stage(queries, gallery, *groups, 5)
    scores = queries @ gallery.T
    np.testing.assert_array_equal(found.scores, -np.sort(-scores, axis=1)[:, :5])
    np.testing.assert_array_equal(
        np.take_along_axis(scores, found.candidates, axis=1), found.scores
    )
    for q in range(11):
        right = groups[0][q] == groups[1]
        if right.any():
            wanted = 1 + (scores[q, ~right] >= scores[q, right].max()).sum()
            assert found.ranks[q] == wanted


def test_an_oracle_ranks_every_query_first():
    items = np.eye(9, dtype=np.float32)
    found = coarse_stage(items, items, np.arange(9), np.arange(9), 3)
    assert (found.ranks == 1).all() and (found.candidates[:, 0] == np.arange(9)).all()
