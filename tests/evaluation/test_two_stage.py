"""Both stages with an oracle for a model, in both directions."""

import types
from typing import Any

import numpy as np
import pytest

from animclip_jax.evaluation import metrics, two_stage
from animclip_jax.evaluation.two_stage import Search
from tests.an_oracle import Oracle, gallery, searching


@pytest.mark.parametrize("by_text", [True, False])
@pytest.mark.parametrize("k", [3, 100])
def test_an_oracle_finds_everything(split, by_text, k):
    ranked, sweep, seconds = searching(split, gallery())(by_text, k)
    items = 5 if by_text else 8
    assert ranked.fused.shape == (8 if by_text else 5, min(k, items))
    for ranks in ranked[2:3] + ranked[4:]:
        assert (ranks == 1).all()
    assert set(seconds) == {"coarse", "rerank"}
    assert all(one["R@1"] == one["ceiling"] == 100.0 for one in sweep)


def test_a_reranker_that_is_always_wrong_puts_the_right_one_last_of_k(split):
    told: list[int] = []
    ranked, sweep, _ = searching(split, gallery(), -1.0)(True, 3, told.append)
    assert (ranked.coarse_ranks == 1).all()
    assert (ranked.reranked_ranks == 3).all()
    assert (ranked.ceiling_ranks == 1).all()
    assert sum(told) == 8 * 3


def test_one_reranking_gives_every_k(split):
    random = np.random.default_rng(0)
    videos = random.standard_normal((60, 8)).astype(np.float32)
    some = gallery(np.arange(60))
    texts = videos + random.standard_normal((60, 8)).astype(np.float32)
    features = [some.text.features[0]._replace(embedding=texts)]
    text = some.text._replace(embedding=texts, features=features)
    some = some._replace(video=some.video._replace(embedding=videos), text=text)
    ranked, sweep, _ = searching(split, some, -1.0)(True, 50)
    assert [one["k"] for one in sweep] == [5, 10, 20, 50]
    assert sorted(one["milliseconds"] for one in sweep) == [one["milliseconds"] for one in sweep]
    for one in sweep:
        alone, (*_, last), _ = searching(split, some, -1.0)(True, int(one["k"]))
        assert last["k"] == one["k"] and last["R@1"] == one["R@1"]
        assert one["R@1"] == metrics.summary(alone.reranked_ranks)["R@1"]
        assert one["ceiling"] == 100 * np.mean(ranked.coarse_ranks <= one["k"])


def test_other_videos_captions_count_once_where_asked(split):
    # Video 4's caption lies behind all three of video 2 and both of video 0.
    some = gallery()
    some.text.embedding[:] = 0.01
    some.text.embedding[:, 4] = [0.9, 0.8, 0.0, 0.7, 0.6, 0.5, 0.0, 0.4]
    by_caption = searching(split, some)(False, 3)[0]
    by_video = searching(split, some, groups_once=True)(False, 3)[0]
    assert by_caption.coarse_ranks[4] == by_caption.reranked_ranks[4] == 6
    assert by_video.coarse_ranks[4] == by_video.reranked_ranks[4] == 3
    by_text = searching(split, some, groups_once=True)(True, 3)[0]
    np.testing.assert_array_equal(
        by_text.coarse_ranks, searching(split, some)(True, 3)[0].coarse_ranks
    )


def test_what_is_not_finite_is_named(split, monkeypatch):
    some = gallery()
    some.video.embedding[3, 1] = np.nan
    with pytest.raises(ValueError, match="video 'v3': its embedding is not finite"):
        searching(split, some)
    some = gallery()
    some.text.embedding[6, 0] = np.inf
    with pytest.raises(ValueError, match="caption 'c6': its embedding is not finite"):
        searching(split, some)
    search = searching(split, gallery())
    real = search.scorer

    def damaged(rows, columns, progress):
        found = real(rows, columns, progress)
        found[(rows == 6) & (columns == 3)] = np.nan
        return found

    monkeypatch.setattr(search, "scorer", damaged)
    for by_text in (True, False):
        with pytest.raises(ValueError, match="caption 'c6' and video 'v3' is nan"):
            search(by_text, 5)


def test_time_spent_compiling_is_not_in_the_sweep(split, monkeypatch):
    oracle: Any = Oracle(split)
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(two_stage.time, "perf_counter", lambda: clock.now)
    search = Search(oracle, gallery())
    real = search.scorer

    def slow(rows, columns, progress):
        oracle.compile_seconds += 7.0
        clock.now += 7.0 + rows.size
        return real(rows, columns, progress)

    monkeypatch.setattr(search, "scorer", slow)
    _, sweep, seconds = search(False, 8)
    assert [one["milliseconds"] for one in sweep] == [5000.0, 8000.0]
    assert seconds["rerank"] == 2 * 7 + 5 * 8
