"""The sample of queries is fair, and says what was found."""

import json

import numpy as np

from animclip_jax.evaluation import rankings
from animclip_jax.evaluation.two_stage import Ranked

CAPTIONS = [["a", "b"], ["c"], ["d"]]
RANKED = Ranked(
    candidates=np.array([[0, 1], [1, 2], [2, 1], [2, 0]]),
    scores=np.array([[0.9, 0.8], [0.5, 0.4], [0.7, 0.6], [0.9, 0.1]]),
    coarse_ranks=np.array([1, 3, 2, 1]),
    fused=np.array([[1.0, 2.0], [5.0, 4.0], [1.0, 9.0], [3.0, 1.0]]),
    reranked_ranks=np.array([2, 3, 1, 1]),
    ceiling_ranks=np.array([1, 3, 1, 1]),
)


def test_groups():
    groups = rankings.group_queries(RANKED.coarse_ranks, RANKED.reranked_ranks)
    found = {name: members.tolist() for name, members in groups.items()}
    assert found == {"helped": [2], "hurt": [0], "right": [3], "missed": [1]}


def test_what_was_found_before_and_after():
    listing, shown = rankings.sample_queries(RANKED, ["x", "y", "z"], CAPTIONS, seed=0)
    queries = {query["caption"]: query for query in listing["queries"]}
    assert listing["counts"] == {"helped": 1, "hurt": 1, "right": 1, "missed": 1}
    helped = queries["c"]
    assert (helped["target"], helped["coarse_rank"], helped["reranked_rank"]) == ("y", 2, 1)
    assert [item["id"] for item in helped["coarse"]] == ["z", "y"]
    assert [item["id"] for item in helped["reranked"]] == ["y", "z"]
    assert helped["reranked"][0]["score"] == 9.0
    assert queries["b"]["target"] == "x" and queries["d"]["target"] == "z"
    assert shown == {0, 1, 2}


def test_the_sample_depends_on_the_seed_alone():
    many = Ranked(*(np.tile(x, (50,) + (1,) * (x.ndim - 1)) for x in RANKED))
    captions = [[str(i)] for i in range(200)]
    ids = [str(i) for i in range(200)]
    samples = [rankings.sample_queries(many, ids, captions, seed)[0] for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    assert len(samples[0]["queries"]) == 4 * rankings.SAMPLES_PER_GROUP


def test_every_named_video_has_a_strip(tmp_path):
    listing, _ = rankings.sample_queries(RANKED, ["x", "y", "z"], CAPTIONS, seed=0)
    frames = {name: np.zeros((2, 8, 8, 3), np.uint8) for name in "xyz"}
    rankings.write_rankings(tmp_path, listing, frames)
    written = json.loads((tmp_path / "rankings" / "rankings.json").read_text())
    assert set(written["strips"]) == {"x", "y", "z"}
    for one in written["strips"].values():
        assert (one["frames"], one["side"]) == (2, 8)
        assert (tmp_path / "rankings" / one["file"]).stat().st_size > 0
