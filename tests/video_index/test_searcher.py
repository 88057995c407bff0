"""Searching an index: both stages against what the model gives pair by pair."""

import dataclasses
import io
import shutil
from typing import Any

import jax
import numpy as np
import pytest

from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index import shards
from animclip_jax.video_index.filters import VIDEO, Filters
from animclip_jax.video_index.open import open_index
from animclip_jax.video_index.query import Part, Query
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.searcher import Searcher
from input_pipeline.media import video

SENTENCE = "a white block travels"


@pytest.fixture(scope="module")
def searcher(indexed, search_model):
    return Searcher(search_model, Index(indexed))


def by(what, weight=1.0):
    return Query((Part(what, weight),))


def wanted_scores(searcher, sentence):
    """Cosine similarities and fused scores of all segments, without either stage's code."""
    encoder, count = searcher.model.encoder, len(searcher.index)
    tokens = np.repeat(searcher.tokenizer([sentence]), count, axis=0)
    text = encoder.encode_text(tokens)
    video = searcher.index.features(np.arange(count))
    return (text.embedding * video.embedding).sum(axis=1), np.asarray(
        encoder.fused_scores(text, video, None, None)
    )


@pytest.mark.parametrize("sentence", [SENTENCE, "red", " ".join(["a block"] * 40)])
def test_both_stages_by_text(searcher, sentence):
    cosine, fused = wanted_scores(searcher, sentence)
    answer = searcher.answer(by(sentence))
    order = [hit.segment for hit in answer.hits]
    np.testing.assert_allclose([hit.fused for hit in answer.hits], fused[order], atol=1e-4)
    np.testing.assert_allclose([hit.coarse for hit in answer.hits], cosine[order], atol=1e-5)
    assert sorted(order) == list(range(8))
    assert [hit.rank for hit in answer.hits] == list(range(1, 9))
    assert (np.diff([hit.fused for hit in answer.hits]) <= 0).all()
    by_coarse = sorted(answer.hits, key=lambda hit: hit.coarse_rank)
    assert (np.diff([hit.coarse for hit in by_coarse]) <= 0).all()
    assert [hit.coarse_rank for hit in by_coarse] == list(range(1, 9))
    assert order != [hit.segment for hit in by_coarse], "re-ranking changes something here"
    assert list(answer.seconds) == ["encode", "coarse", "rerank"]


def test_coarse_only(searcher):
    answer = searcher.answer(by(SENTENCE), coarse_only=True)
    assert list(answer.seconds) == ["encode", "coarse"]
    assert all(hit.fused is None and hit.rank == hit.coarse_rank for hit in answer.hits)
    assert (np.diff([hit.coarse for hit in answer.hits]) <= 0).all()


def test_the_re_ranker_sees_the_best_alone(indexed, search_model, searcher):
    few = Searcher(search_model, Index(indexed), num_candidates=3)
    best = searcher.answer(by(SENTENCE), coarse_only=True).hits[:3]
    found = few.answer(by(SENTENCE)).hits
    assert {hit.segment for hit in found} == {hit.segment for hit in best}


def test_however_many_segments_a_filter_leaves_one_program_scores_them(
    indexed, search_model, monkeypatch
):
    searcher = Searcher(search_model, Index(indexed))
    embedding = searcher.index.embedding
    asked = Query((Part(SENTENCE), Part(embedding[3], 0.5)))
    _, fused = wanted_scores(searcher, SENTENCE)
    logit = search_model.encoder.logit_scale * embedding @ embedding[3]
    known = set(search_model.encoder._programs)
    for left in range(1, 9):
        monkeypatch.setattr(searcher, "allowed", lambda filters, n=left: np.arange(8) >= 8 - n)
        hits: Any = searcher.answer(asked, filters=Filters(kind=VIDEO)).hits
        order = [hit.segment for hit in hits]
        assert sorted(order) == [*range(8 - left, 8)]
        wanted = (fused + 0.5 * logit)[order] / 1.5
        np.testing.assert_allclose([hit.fused for hit in hits], wanted, atol=1e-4)
    assert len(set(search_model.encoder._programs) - known) <= 1


def test_a_deep_search_goes_on_behind_what_the_re_ranker_saw(indexed, search_model, searcher):
    few = Searcher(search_model, Index(indexed), num_candidates=3)
    deep = few.answer(by(SENTENCE), is_deep=True).hits
    coarse = [hit.segment for hit in searcher.answer(by(SENTENCE), coarse_only=True).hits]
    assert [hit.segment for hit in deep[:3]] == [h.segment for h in few.answer(by(SENTENCE)).hits]
    assert [hit.segment for hit in deep[3:]] == coarse[3:]
    assert [hit.rank for hit in deep] == list(range(1, 9))
    assert [hit.fused is None for hit in deep] == [False] * 3 + [True] * 5


def test_a_query_of_several_parts_is_their_weighted_sum(searcher, indexed):
    index = searcher.index
    picture = index.embedding[3]
    asked = Query((Part(SENTENCE), Part(picture, 0.5), Part("red", -2.0)))
    found, other = (wanted_scores(searcher, text)[1] for text in (SENTENCE, "red"))
    said, unsaid = (searcher.encoded(text).embedding for text in (SENTENCE, "red"))
    total = said + 0.5 * picture - 2 * unsaid
    coarse = index.embedding @ (total / np.linalg.norm(total))
    logit = searcher.model.encoder.logit_scale * index.embedding @ picture
    answer = searcher.answer(asked)
    order = [hit.segment for hit in answer.hits]
    np.testing.assert_allclose([hit.coarse for hit in answer.hits], coarse[order], atol=1e-5)
    wanted = (found + 0.5 * logit - 2 * other) / 3.5
    np.testing.assert_allclose([hit.fused for hit in answer.hits], wanted[order], atol=1e-4)
    assert answer.stage == "reranked"


def test_without_a_sentence_that_asks_for_something_nothing_is_reranked(searcher):
    for parts in ((Part(SENTENCE, -1.0),), (Part(searcher.index.embedding[0]), Part("red", -1.0))):
        answer = searcher.answer(Query(parts))
        assert answer.stage == "coarse" and all(hit.fused is None for hit in answer.hits)


def test_a_weight_alone_changes_nothing(searcher):
    once, twice = searcher.answer(by(SENTENCE)), searcher.answer(by(SENTENCE, 2.0))
    for one, other in zip(once.hits, twice.hits, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("name", ["red.mp4", "below/blue.gif"])
def test_a_video_finds_itself(indexed, searcher, name):
    answer = searcher.answer(by(indexed.parent / "videos" / name))
    assert searcher.index.names[answer.hits[0].segment] == name
    assert answer.hits[0].coarse == pytest.approx(1.0, abs=1e-5)
    assert answer.hits[0].fused is None


def test_a_picture_finds_the_video_that_stands_still(
    search_model, search_model_path, tmp_path, indexed
):
    from tests import searchable

    still = np.random.default_rng(0).integers(0, 255, (1, 48, 64, 3), np.uint8)
    (tmp_path / "videos").mkdir()
    for name in ("red.mp4", "long.mp4"):
        (tmp_path / "videos" / name).write_bytes((indexed.parent / "videos" / name).read_bytes())
    video.write_video(tmp_path / "videos" / "still.gif", still.repeat(6, axis=0), 4)
    searchable.index(tmp_path / "videos", tmp_path / "index", search_model, search_model_path)
    searcher = Searcher(search_model, Index(tmp_path / "index"))
    shown = video.read_frames(tmp_path / "videos" / "still.gif", 1)[0]
    best = searcher.answer(by(shown)).hits[0]
    assert searcher.index.names[best.segment] == "still.gif"
    assert best.coarse == pytest.approx(1.0, abs=1e-5)


def test_another_model_is_refused(indexed, search_model):
    with pytest.raises(ValueError, match="was made with another model"):
        Searcher(dataclasses.replace(search_model, fingerprint="0" * 64), Index(indexed))


def test_an_index_without_videos_is_told(indexed, tmp_path):
    catalogue = catalogues.read(indexed)
    catalogue.videos.clear()
    catalogues.write(tmp_path, catalogue)
    with pytest.raises(ValueError, match="no video in this index"):
        Index(tmp_path)


def test_a_shard_that_is_missing_is_told(indexed, tmp_path):
    catalogues.write(tmp_path, catalogues.read(indexed))
    with pytest.raises(FileNotFoundError, match="00000000"):
        Index(tmp_path)


def test_an_index_of_one_shard_is_mapped(indexed):
    index = Index(indexed)
    (part,) = index.parts.values()
    assert np.shares_memory(index.embedding, part.embedding)
    np.testing.assert_array_equal(index.embedding, part.embedding)


def test_segments_of_several_shards_are_those_of_their_videos(indexed, tmp_path):
    shutil.copytree(indexed, tmp_path / "index")
    catalogue, whole = catalogues.read(indexed), Index(indexed)
    name, moved = sorted(catalogue.videos.items())[1]
    # Its rows are the last of a shard of its own, those before it are of no video.
    (part,) = whole.parts.values()
    order = np.roll(np.arange(len(part.times)), -moved.first - moved.segments)
    shards.write(tmp_path / "index", "00000001", len(order), [part.take(order)])
    place = len(order) - moved.segments
    catalogue.videos[name] = moved._replace(shard="00000001", first=place)
    catalogues.write(tmp_path / "index", catalogue)
    found = Index(tmp_path / "index")
    was = [whole.names.index(one) for one in dict.fromkeys(found.names)]
    rows = np.concatenate([np.arange(at, at + whole.names.count(whole.names[at])) for at in was])
    assert found.names == [whole.names[row] for row in rows] and found.names[-1] == name
    np.testing.assert_array_equal(found.embedding, whole.embedding[rows])
    np.testing.assert_array_equal(found.times, whole.times[rows])
    asked = np.array([7, 0, 3])
    jax.tree.map(np.testing.assert_array_equal, found.features(asked), whole.features(rows[asked]))
    assert found.thumbnail(7) == whole.thumbnail(int(rows[7]))


def test_opening_an_index_reads_its_catalogue_once(indexed, monkeypatch):
    opened = []

    def counting(file, *given, **options):
        opened.append(str(file))
        return original(file, *given, **options)

    original = io.open
    monkeypatch.setattr(io, "open", counting)
    open_index(indexed)
    assert opened.count(str(indexed / "catalogue.json")) == 1
