"""Ranks and recalls on literal matrices, and against a brute-force loop."""

import numpy as np
import pytest

from animclip_jax.retrieval import metrics

SCORES = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.8], [0.4, 0.4, 0.1]])


def test_ranks_of_a_literal_matrix():
    np.testing.assert_array_equal(metrics.ranks(SCORES, np.eye(3, dtype=bool)), [1, 2, 3])


def test_ties_count_against_us():
    scores = np.array([[0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(metrics.ranks(scores, np.array([[True, False, False]])), [3])


def test_the_best_of_several_right_items_counts():
    right = np.array([[False, True, True], [True, True, False], [False, False, False]])
    np.testing.assert_array_equal(metrics.ranks(SCORES, right), [2, 2, 0])


def test_a_score_that_is_no_number_is_named():
    scores = SCORES.copy()
    scores[1, 2] = np.nan
    with pytest.raises(ValueError, match="query 1 and item 2 is nan"):
        metrics.ranks(scores, np.eye(3, dtype=bool))


def test_ranks_equal_a_brute_force_loop():
    random = np.random.default_rng(0)
    for _ in range(200):
        queries, items = random.integers(1, 8, 2)
        scores = random.integers(0, 5, (queries, items)).astype(float)
        right = random.random((queries, items)) < 0.4
        for q, rank in enumerate(metrics.ranks(scores, right)):
            own = [scores[q, i] for i in range(items) if right[q, i]]
            wrong = [scores[q, i] for i in range(items) if not right[q, i]]
            assert rank == (1 + sum(score >= max(own) for score in wrong) if own else 0)


def test_reranking_moves_only_what_is_among_the_candidates():
    coarse = np.array([3, 7, 1])
    fused = np.array([[0.1, 0.9], [0.5, 0.4], [0.2, 0.3]])
    right = np.array([[False, True], [False, False], [True, False]])
    reranked, ceiling = metrics.reranked_ranks(coarse, fused, right)
    np.testing.assert_array_equal(reranked, [1, 7, 2])
    np.testing.assert_array_equal(ceiling, [1, 7, 1])


def test_summary():
    found = metrics.summary(np.array([1, 2, 6, 11]))
    assert found == {"R@1": 25.0, "R@5": 50.0, "R@10": 75.0, "MdR": 4.0, "MnR": 5.0}


def test_chance_is_what_random_scores_reach():
    assert metrics.chance(np.ones(3), 600)["R@1"] == pytest.approx(100 / 600)
    assert metrics.chance(np.ones(3), 4) == {"R@1": 25.0, "R@5": 100.0, "R@10": 100.0}
    random = np.random.default_rng(0)
    right = np.zeros((20_000, 12), bool)
    right[:, :3] = True
    found = metrics.summary(metrics.ranks(random.random(right.shape), right))
    # The best of 3 right items is before all wrong ones with the chance that a right one is first.
    assert found["R@1"] == pytest.approx(metrics.chance(np.full(1, 3), 12)["R@1"], abs=1.0)
