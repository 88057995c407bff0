"""Siblings: which captions count, what is above what, and how sure that is, against an oracle."""

import json

import numpy as np
import pytest

from animclip_jax.evaluation import comparison, metrics, rankings, siblings
from animclip_jax.evaluation.two_stage import Search
from input_pipeline.examples import Told
from tests.an_oracle import gallery, searching

# Five videos; 0 and 1 are siblings, so are 2 and 3, and 4 has one that is not searched.
OWNER = np.array([0, 0, 1, 2, 2, 2, 3, 4])
TOLD = [
    [Told(True, "v1", "slide"), Told(True)],
    [Told(True, "v0", "slide")],
    [Told(False, "v3", "colour"), Told(), Told(True, "v3", "zoom")],
    [Told(False, "v2", "colour")],
    [Told(True, "gone", "slide")],
]


def measured(search: Search) -> siblings.Measured:
    ranked, _, _ = search(True, 3)
    ranks = {"coarse": ranked.coarse_ranks, "reranked": ranked.reranked_ranks}
    return siblings.measure(search, TOLD, ranks)


def test_captions_whose_sibling_is_searched_are_counted(split):
    found = siblings.find(
        [one for some in TOLD for one in some], OWNER, [f"v{n}" for n in range(5)]
    )
    assert found.caption.tolist() == [0, 2, 3, 5, 6]
    assert found.own.tolist() == [0, 1, 2, 2, 3] and found.other.tolist() == [1, 0, 3, 3, 2]
    assert found.group.tolist() == [0, 0, 2, 2, 2] and found.pair.tolist() == [0, 0, 1, 1, 1]
    assert found.motion.tolist() == [True, True, False, True, False]
    assert found.differs.tolist() == ["slide", "slide", "colour", "zoom", "colour"]


def test_an_oracle_tells_all_siblings_apart_and_a_contrary_reranker_none(split):
    found = measured(searching(split, gallery(OWNER), -1.0)).report["siblings"]
    assert {name: one["captions"] for name, one in found.items()} == {
        "motion": 3,
        "others": 2,
        "colour": 2,
        "slide": 2,
        "zoom": 1,
    }
    assert {name: one["pairs"] for name, one in found.items()} == {
        "motion": 2,
        "others": 1,
        "colour": 1,
        "slide": 1,
        "zoom": 1,
    }
    for one in found.values():
        assert (one["coarse"]["above"], one["reranked"]["above"]) == (100, 0)


def test_equal_scores_are_half_right(split):
    """A model that can't see what differs is at chance, not below it."""
    made = gallery(OWNER)
    videos = np.tile(made.video.embedding[:1], (5, 1))
    videos *= 1 + np.linspace(0, 1e-6, 5, dtype=np.float32)[:, None]  # but for rounding
    found = measured(searching(split, made._replace(video=made.video._replace(embedding=videos))))
    for one in found.report["siblings"].values():
        for stage in ("coarse", "reranked"):
            assert one[stage]["above"] == 50
            lower, upper = one[stage]["interval"]
            assert lower <= 50 <= upper


def test_the_interval_counts_the_captions_of_a_pair_together():
    random = np.random.default_rng(0)
    own = np.repeat(np.arange(0, 200, 2), 6)
    hits = np.repeat(random.random(100) < 0.7, 6)
    scores = {"coarse": np.stack([hits, np.full(600, 0.5)], axis=1)}
    many = siblings.Siblings(
        np.arange(600), own, own + 1, np.ones(600, bool), np.full(600, "slide")
    )
    one = siblings.told_apart(many, scores)["motion"]
    assert one["pairs"] == 100 and one["coarse"]["above"] == 100 * hits.mean()
    lower, upper = one["coarse"]["interval"]
    # As many as there are pairs, not captions.
    assert upper - lower == pytest.approx(2 * 196 * np.sqrt(0.7 * 0.3 / 100), rel=0.1)


def test_pairs_that_share_a_video_are_counted_apart_and_taken_together():
    """Videos 0 and 9 have two siblings each, and 7 comes before 9; 3 and 4 are a pair alone."""
    own, other = np.array([0, 0, 1, 2, 3, 7, 9, 9]), np.array([1, 2, 0, 0, 4, 9, 7, 10])
    found = siblings.Siblings(
        np.arange(8), own, other, np.ones(8, bool), np.array(["a"] * 4 + ["b"] * 4)
    )
    hits = np.array([1, 1, 1, 0, 1, 0, 1, 1])
    scores = {"coarse": np.stack([hits, np.full(8, 0.5)], axis=1)}
    report = siblings.told_apart(found, scores)
    assert {name: one["pairs"] for name, one in report.items()} == {"motion": 5, "a": 2, "b": 3}
    assert found.group.tolist() == [0, 0, 0, 0, 3, 7, 7, 7]
    interval = metrics.share_interval(hits, found.group)
    assert report["motion"]["coarse"]["interval"] == interval
    # All pairs of a hang together: their captions differ, so the interval has a width.
    lower, upper = report["a"]["coarse"]["interval"]
    assert lower < 75 < upper


def test_a_long_chain_of_siblings_is_one_group():
    own = np.random.default_rng(0).permutation(999)
    some = np.ones(999, bool), np.full(999, "slide")
    found = siblings.Siblings(np.arange(999), own, own + 1, *some)
    assert set(found.group.tolist()) == {0}
    assert len(set(found.pair.tolist())) == 999


def test_ranks_are_reported_by_whether_a_caption_names_a_motion():
    ranks = {"coarse": np.array([1, 5, 20, 1]), "reranked": np.array([1, 1, 20, 3])}
    motion = np.array([True, True, False, False])
    found = siblings.by_motion(ranks, motion, np.arange(4))
    assert (found["motion"]["captions"], found["others"]["captions"]) == (2, 2)
    assert found["motion"]["coarse"]["R@1"] == 50 and found["motion"]["reranked"]["R@1"] == 100
    assert found["others"]["coarse"]["R@10"] == 50 and found["others"]["reranked"]["R@1"] == 0
    assert found["motion"]["coarse"] == metrics.scores(ranks["coarse"][:2], np.arange(2))
    assert set(siblings.by_motion(ranks, np.ones(4, bool), np.arange(4))) == {"motion"}


def test_a_source_that_tells_nothing_reports_nothing(split):
    search = searching(split, gallery(OWNER))
    for told in ([], [[Told()] * 2, [Told()], [Told()] * 3, [Told()], [Told()]]):
        found = siblings.measure(search, told, {})
        assert found.report == {} and found.arrays == {} and found.scores == {}
        assert rankings.sample_pairs(found, [], [], 0) == ([], set())


def test_a_score_that_is_no_number_names_the_pair(split):
    search = searching(split, gallery(OWNER), float("nan"))
    with pytest.raises(ValueError, match="the fused score of caption 'c0' and video 'v0' is nan"):
        siblings.measure(search, TOLD, {"coarse": np.ones(8, int)})


def test_pairs_to_look_at_have_both_captions_and_all_four_scores(split):
    made = gallery(OWNER)
    found = measured(searching(split, made))
    pairs, videos = rankings.sample_pairs(found, made.ids, made.captions, 0)
    assert json.loads(json.dumps(pairs)) == pairs
    assert {pair["differs"] for pair in pairs} >= {"slide", "colour"}
    assert pairs[-1]["differs"] == "colour"  # what differs in a motion comes first
    assert videos == {0, 1, 2, 3}
    for pair in pairs:
        assert len({*pair["videos"]}) == 2
        for place, said in enumerate(pair["captions"]):
            caption = int(said["caption"][1:])
            assert pair["videos"][place] == f"v{OWNER[caption]}"
            text = made.text.embedding[caption]
            numbers = [int(name[1:]) for name in pair["videos"]]
            wanted = [float(text @ made.video.embedding[number]) for number in numbers]
            assert said["coarse"] == pytest.approx(wanted)
            assert said["reranked"] == pytest.approx(wanted)


def test_ranks_of_siblings_are_kept_beside_the_others(split, tmp_path):
    found = measured(searching(split, gallery(OWNER)))
    comparison.write_ranks(tmp_path, OWNER, {}, found.arrays)
    with np.load(tmp_path / "ranks.npz") as kept:
        assert kept["motion"].tolist() == [one.motion for some in TOLD for one in some]
        assert kept["siblings/coarse"].tolist() == [1.0] * 5
        assert kept["siblings/reranked"].tolist() == [1.0] * 5
        assert kept["siblings/pair"].tolist() == [0, 0, 2, 2, 2]
        assert kept["siblings/motion"].tolist() == [True, True, False, True, False]
