"""Ranks and recalls on literal matrices and against brute force; how sure they are."""

import numpy as np
import pytest

from animclip_jax.evaluation import metrics
from benchmarks import evidence_rows

SCORES = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.8], [0.4, 0.4, 0.1]])


def test_ranks_of_a_literal_matrix():
    np.testing.assert_array_equal(metrics.ranks(SCORES, np.eye(3, dtype=bool)), [1, 2, 3])


def test_ties_count_against_us():
    scores = np.array([[0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(metrics.ranks(scores, np.array([[True, False, False]])), [3])


def test_the_best_of_several_right_items_counts():
    right = np.array([[False, True, True], [True, True, False], [False, False, False]])
    np.testing.assert_array_equal(metrics.ranks(SCORES, right), [2, 2, 0])


def test_captions_of_one_video_may_count_once():
    # Three captions of video 0 and one of video 1 stand before video 2's.
    scores, group = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.1]]), np.array([0, 0, 0, 1, 2, 2])
    right = group[None] == 2
    np.testing.assert_array_equal(metrics.ranks(scores, right), [5])
    np.testing.assert_array_equal(metrics.ranks(scores, right, group), [3])


def test_one_query_and_one_item():
    for right, rank in ((True, 1), (False, 0)):
        assert metrics.ranks(np.array([[0.3]]), np.array([[right]])).tolist() == [rank]
    assert metrics.summary(np.array([1]))["R@1"] == 100.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_named(value):
    scores = SCORES.copy()
    scores[1, 2] = value
    with pytest.raises(ValueError, match=f"query 1 and item 2 is {value}"):
        metrics.ranks(scores, np.eye(3, dtype=bool))


def test_an_embedding_that_is_not_finite_is_named():
    embedding = np.ones((3, 4), np.float32)
    metrics.check_finite(embedding, ["a", "b", "c"], "video")
    embedding[1, 3] = np.nan
    with pytest.raises(ValueError, match=r"video 'b': its embedding is not finite .* 1 of 3"):
        metrics.check_finite(embedding, ["a", "b", "c"], "video")


def test_ranks_equal_a_brute_force_loop():
    random = np.random.default_rng(0)
    for _ in range(1000):
        queries, items = random.integers(1, 9, 2)
        scores = random.integers(0, 5, (queries, items)).astype(float)
        right = random.random((queries, items)) < 0.4
        group = random.integers(0, 4, items)
        found = metrics.ranks(scores, right), metrics.ranks(scores, right, group)
        for q in range(queries):
            before, best = 0, None
            groups: set[int] = set()
            for i in range(items):
                if right[q, i] and (best is None or scores[q, i] > best):
                    best = scores[q, i]
            for i in range(items):
                if best is not None and not right[q, i] and scores[q, i] >= best:
                    before, groups = before + 1, groups | {group[i]}
            assert found[0][q] == (0 if best is None else 1 + before)
            assert found[1][q] == (0 if best is None else 1 + len(groups))


def test_reranking_moves_only_what_is_among_the_candidates():
    coarse = np.array([2, 7, 1])
    fused = np.array([[0.1, 0.9], [0.5, 0.4], [0.2, 0.3]])
    right = np.array([[False, True], [False, False], [True, False]])
    reranked, ceiling = metrics.reranked_ranks(coarse, fused, right)
    np.testing.assert_array_equal(reranked, [1, 7, 2])
    np.testing.assert_array_equal(ceiling, [1, 7, 1])


def test_a_candidate_by_the_luck_of_a_tie_is_none():
    # Five equal scores: the right item was among the two candidates, but its rank is 5.
    reranked, ceiling = metrics.reranked_ranks(
        np.array([5]), np.array([[9.0, 1.0]]), np.array([[True, False]])
    )
    assert (reranked.tolist(), ceiling.tolist()) == ([5], [5])


def test_reranked_captions_of_one_video_may_count_once():
    fused, right = np.array([[5.0, 4.0, 3.0, 2.0]]), np.array([[False, False, False, True]])
    group = np.array([[7, 7, 3, 1]])
    reranked, _ = metrics.reranked_ranks(np.array([4]), fused, right, group)
    assert reranked.tolist() == [3]


def test_reranking_everything_equals_ranking_by_the_fused_scores():
    random = np.random.default_rng(0)
    for _ in range(200):
        queries, items = random.integers(1, 9, 2)
        coarse, fused = random.integers(0, 5, (2, queries, items)).astype(float)
        right = np.arange(queries)[:, None] % items == np.arange(items)
        before = metrics.ranks(coarse, right)
        found, ceiling = metrics.reranked_ranks(before, fused, right)
        np.testing.assert_array_equal(found, metrics.ranks(fused, right))
        assert (ceiling == 1).all()


def test_summary():
    found = metrics.summary(np.array([1, 2, 6, 11]))
    recalls = {"R@1": 25.0, "R@5": 50.0, "R@10": 75.0, "R@50": 100.0}
    assert found == recalls | {"MdR": 4.0, "MnR": 5.0}


def test_chance_is_what_random_scores_reach():
    assert metrics.chance(np.ones(3), 600)["R@1"] == pytest.approx(100 / 600)
    recalls = {"R@1": 25.0, "R@5": 100.0, "R@10": 100.0, "R@50": 100.0}
    assert metrics.chance(np.ones(3), 4) == recalls
    random = np.random.default_rng(0)
    right = np.zeros((20_000, 12), bool)
    right[:, :3] = True
    found = metrics.summary(metrics.ranks(random.random(right.shape), right))
    # The best of 3 right items is before all wrong ones with the chance that a right one is first.
    assert found["R@1"] == pytest.approx(metrics.chance(np.full(1, 3), 12)["R@1"], abs=1.0)


def test_intervals_of_independent_queries_are_those_of_a_share():
    ranks = np.where(np.arange(2000) < 600, 1, 30)
    found = metrics.intervals(ranks, np.arange(2000))
    half = 196 * np.sqrt(0.3 * 0.7 / 2000)
    np.testing.assert_allclose(found["R@1"], [30 - half, 30 + half], atol=0.25)
    assert found["R@5"] == found["R@1"]
    # Of 2,000 hits among 2,000 the true share may still be 99.8.
    assert found["R@50"] == [pytest.approx(99.81, abs=0.01), 100.0]
    assert found["MdR"] == [30.0, 30.0]
    mean = metrics.summary(ranks)["MnR"]
    assert found["MnR"][0] < mean < found["MnR"][1]


def test_captions_that_fail_together_widen_the_interval():
    # 20 captions of each of 100 videos, all found or none: worth 100 queries, not 2,000.
    video = np.repeat(np.arange(100), 20)
    ranks = np.where(video < 30, 1, 30)
    together = metrics.intervals(ranks, video)["R@1"]
    apart = metrics.intervals(ranks, np.arange(2000))["R@1"]
    assert 3.5 < (together[1] - together[0]) / (apart[1] - apart[0]) < 5.5


def hits(columns, most):
    """bool [R, Q, K], whether a rank is at most each of K values: R@k is the mean of it."""
    return np.stack(columns)[:, :, None] <= np.asarray(most)


@pytest.mark.parametrize("count", [7, 8])
def test_a_sample_of_every_query_once_has_the_summary_of_the_ranks(count, monkeypatch):
    class EachOnce:
        def integers(self, number, size):
            return np.broadcast_to(np.arange(number), size)

    monkeypatch.setattr(metrics.np.random, "default_rng", lambda seed: EachOnce())
    ranks = np.array([9, 1, 4, 80, 2, 2, 7, 30])[:count]
    each = np.arange(count)
    assert metrics.resampled_medians([ranks], each)[0].tolist() == [np.median(ranks)]
    recalls = 100 * evidence_rows.resampled_means(hits([ranks], metrics.RECALLS), each)[0, 0]
    assert recalls == pytest.approx([metrics.summary(ranks)[f"R@{k}"] for k in metrics.RECALLS])


def test_recalls_of_many_runs_are_of_the_same_samples():
    random = np.random.default_rng(0)
    columns = [random.integers(1, 60, size=90) for _ in range(3)]
    cluster = random.integers(20, size=90)  # of unlike sizes
    found = 100 * evidence_rows.resampled_means(hits(columns, (1, 10)), cluster)
    medians = metrics.resampled_medians(columns, cluster)
    numbers = np.unique(cluster, return_inverse=True)[1]
    (block,) = metrics.draws(20, metrics.RESAMPLES)
    for sample, drawn in enumerate(block):
        weights = drawn[numbers]
        for run, ranks in enumerate(columns):
            again = np.repeat(ranks, weights)
            assert medians[sample, run] == np.median(again)
            wanted = [100 * np.mean(again <= k) for k in (1, 10)]
            np.testing.assert_allclose(found[sample, run], wanted)


def test_pairing_finds_what_two_intervals_hide():
    random = np.random.default_rng(0)
    theirs = np.where(random.random(1000) < 0.4, 1, 60)
    ours = theirs.copy()
    ours[np.flatnonzero(theirs > 1)[:25]] = 1
    apart = [metrics.intervals(ranks, np.arange(1000))["R@1"] for ranks in (ours, theirs)]
    assert apart[0][0] < apart[1][1]
    found = metrics.differences(ours, theirs, np.arange(1000))["R@1"]
    assert found["difference"] == pytest.approx(2.5) and 1.4 < found["lower"] < found["upper"] < 3.7
    same = metrics.differences(ours, ours, np.arange(1000))
    assert all(set(one.values()) == {0.0} for one in same.values())
    back = metrics.differences(theirs, ours, np.arange(1000))["R@1"]
    assert back["upper"] == pytest.approx(-found["lower"])


def test_noise_is_not_called_a_difference():
    random = np.random.default_rng(1)
    real = 0
    for _ in range(10):
        ours, theirs = np.where(random.random((2, 400)) < 0.5, 1, 9)
        one = metrics.differences(ours, theirs, np.arange(400))["R@1"]
        real += one["lower"] > 0 or one["upper"] < 0
    assert real <= 2


def ranks_of(random, videos, captions, spread):
    """Ranks [videos * captions] of captions that share their video's difficulty; heavy-tailed."""
    hard = random.normal(size=(videos, 1)) + random.normal(size=(videos, captions))
    ranks = 1 + np.exp(spread * hard / np.sqrt(2) - 0.5)
    return np.minimum(ranks, 200).astype(int).ravel()  # of a gallery of 200


@pytest.mark.parametrize(("videos", "captions"), [(100, 1), (60, 6)])
def test_intervals_hold_as_often_as_they_say(videos, captions, monkeypatch):
    monkeypatch.setattr(metrics, "MEAN_RESAMPLES", 1000)
    monkeypatch.setattr(metrics, "RESAMPLES", 2)  # for MdR, of which this says nothing
    random = np.random.default_rng(4)
    truth = metrics.summary(ranks_of(random, 400_000 // captions, captions, 1.8))
    cluster = np.repeat(np.arange(videos), captions)
    held = {"R@1": 0, "R@10": 0, "MnR": 0}
    for _ in range(150):
        found = metrics.intervals(ranks_of(random, videos, captions, 1.8), cluster)
        for name in held:
            held[name] += found[name][0] <= truth[name] <= found[name][1]
    # 95 % of 150 are 142.5, give or take 2.7.
    assert min(held.values()) >= 132, held


def test_two_equal_runs_are_called_different_once_in_twenty_times(monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 2)  # for MdR, of which this says nothing
    random = np.random.default_rng(6)
    videos, called = np.arange(300), dict.fromkeys(("R@1", "R@10", "MnR"), 0)
    for _ in range(400):
        hard = random.normal(size=300)
        ours, theirs = (
            (1 + np.exp(2.2 * (0.9 * hard + 0.45 * random.normal(size=300)) - 0.5)).astype(int)
            for _ in range(2)
        )
        for name in called:
            one = metrics.differences(ours, theirs, videos)[name]
            called[name] += one["lower"] > 0 or one["upper"] < 0
    assert all(5 <= times <= 31 for times in called.values()), called


def test_intervals_near_the_ends_say_what_is_not_known():
    none = metrics.intervals(np.full(100, 30), np.arange(100))
    assert none["R@1"] == [0.0, pytest.approx(3.8, abs=0.1)] and none["MnR"] == [30.0, 30.0]
    few = metrics.intervals(np.array([1, 4, 60]), np.arange(3))
    assert all(lower < upper for name, (lower, upper) in few.items() if name != "MdR")
    assert few["MnR"][0] == 1.0


def test_one_video_tells_nothing():
    ranks, video = np.array([1, 4, 60]), np.zeros(3, int)
    assert metrics.intervals(ranks, video)["R@1"] == [pytest.approx(100 / 3)] * 2
    other = metrics.differences(ranks, np.array([2, 5, 90]), video)
    assert {(one["lower"], one["upper"]) for one in other.values()} == {
        (-np.inf, np.inf), (0.0, 0.0),
    }  # fmt: skip
    assert np.isinf(other["MdR"]["lower"]) and np.isinf(other["MnR"]["upper"])


@pytest.mark.parametrize(("videos", "changed"), [(2, 2), (5, 5), (400, 1), (400, 5), (400, 6)])
def test_a_handful_of_videos_that_changed_is_no_difference(videos, changed):
    """Of 5, all change in one way once in 16 times where two runs are alike; of 6, once in 32."""
    theirs = np.full(2 * videos, 12)
    ours = theirs.copy()
    ours[: 2 * changed] = 1
    for one, other in ((ours, theirs), (theirs, ours)):
        found = metrics.differences(one, other, np.arange(2 * videos) // 2)
        for name in ("R@1", "MnR"):
            lower, upper = found[name]["lower"], found[name]["upper"]
            assert lower <= found[name]["difference"] <= upper
            assert (lower <= 0 <= upper) == (changed < 6)
        assert found["MdR"]["lower"] <= 0 <= found["MdR"]["upper"]
        # What no video changed is known.
        assert set(found["R@50"].values()) == {0.0}


def test_equal_runs_of_few_changes_are_called_different_once_in_twenty_times(monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 2)  # for MdR, of which this says nothing
    random, called = np.random.default_rng(3), 0
    for _ in range(400):
        ours, theirs = np.full((2, 300), 9)
        changed = random.integers(300, size=4)
        ours[changed], theirs[changed] = np.where(random.random(4) < 0.5, [[1], [9]], [[9], [1]])
        one = metrics.differences(ours, theirs, np.arange(300))["R@1"]
        called += one["lower"] > 0 or one["upper"] < 0
    assert called <= 31


def test_shared_captions_limit_what_a_caption_can_find():
    texts = ["a man", "a man", "a man", "a dog", "a cat", "a cat"]
    # "a man" is two captions of video 0 and one of 1; "a cat" is a caption of 2 twice.
    shared, greatest = metrics.greatest_recall(texts, np.array([0, 1, 0, 1, 2, 2]))
    assert shared == 3 and greatest == pytest.approx(100 * 5 / 6)
    assert metrics.greatest_recall(["x", "y"], np.array([0, 1])) == (0, 100.0)
