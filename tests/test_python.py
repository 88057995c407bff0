"""What Python programs call: shapes, equality with the commands, and errors."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import animclip_jax as ac
from animclip_jax import api
from tests import searchable


def test_names_are_imported_when_they_are_used():
    ask = (
        "import sys, animclip_jax as ac; print('load' in dir(ac), [m in sys.modules for m in LATE])"
    )
    late = "LATE = ['jax', 'tensorflow', 'av']; "
    run = subprocess.run([sys.executable, "-c", late + ask], capture_output=True, text=True)
    assert run.stdout.strip() == "True [False, False, False]", run.stderr
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        ac.lod  # noqa: B018


def test_texts_and_videos_are_compared_in_two_stages(search_model_path, indexed):
    model, videos = ac.load(search_model_path), indexed.parent / "videos"
    texts = model.encode_text(["a red card", "a blue card"])
    assert texts.dtype == np.float32 and len(texts) == 2
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.encode_text("a blue card"), texts[1:], atol=1e-6)
    frames = np.stack([searchable.shot(searchable.RED, 9)[n] for n in (0, 3, 8)])
    found = model.encode_video([videos / "red.mp4", frames, str(videos / "shots.mp4")])
    assert found.embedding.shape == (3, texts.shape[1])
    alone = model.encode_video(frames)
    np.testing.assert_allclose(alone.embedding[0], found.embedding[1], atol=1e-5)
    scores = model.rerank("a red card", found)
    assert scores.shape == (3,) and np.isfinite(scores).all()
    chosen = model.rerank("a red card", found, [2, 0])
    np.testing.assert_allclose(chosen, scores[[2, 0]], atol=1e-5)
    assert model.rerank("a red card", found, []).shape == (0,)


def test_more_videos_and_texts_than_one_batch_are_each_as_if_alone(search_model_path, monkeypatch):
    """Batches of 2 and of 4: of 5 videos and 11 texts the last batch is not full."""
    monkeypatch.setattr(api, "VIDEOS_AT_ONCE", 2)
    monkeypatch.setattr(api, "TEXTS_AT_ONCE", 4)
    model = ac.load(search_model_path)
    videos = list(np.random.default_rng(0).integers(0, 256, (5, 4, 20, 30, 3), np.uint8))
    found, alone = model.encode_video(videos), [model.encode_video(video) for video in videos]
    jax.tree.map(
        lambda whole, *parts: np.testing.assert_allclose(
            np.float32(whole), np.float32(np.concatenate(parts)), atol=1e-5
        ),
        *(found, *alone),
    )
    assert len(np.unique(found.embedding.round(4), axis=0)) == 5
    texts = [f"a {'small ' * (n % 3)}red card {n}" for n in range(11)]
    embeddings = model.encode_text(texts)
    each = np.concatenate([model.encode_text(text) for text in texts])
    np.testing.assert_allclose(embeddings, each, atol=1e-5)
    scores = [model.rerank(texts[10], one)[0] for one in alone]
    np.testing.assert_allclose(model.rerank(texts[10], found), scores, atol=1e-4)


def test_an_index_is_searched_by_text_picture_and_video(indexed):
    index, videos = ac.open_index(indexed), indexed.parent / "videos"
    moments = index.search("a red card", n=3)
    assert [moment.rank for moment in moments] == [1, 2, 3] and moments[0].reranked is not None
    assert moments[0].start < moments[0].end
    assert index.search(videos / "red.mp4", n=1)[0].video == "red.mp4"
    picture = searchable.shot(searchable.RED, 16)[8]
    assert len(index.search(picture, n=2)) == 2
    with pytest.raises(ValueError, match="n=0: wanted 1 or more"):
        index.search("a red card", n=0)


def test_what_cannot_be_encoded_is_said(search_model_path, tmp_path):
    model = ac.load(search_model_path)
    with pytest.raises(ValueError, match="no sentences: wanted one at least"):
        model.encode_text([])
    with pytest.raises(ValueError, match="no videos: wanted one at least"):
        model.encode_video([])
    with pytest.raises(ValueError, match=r"frames float32 \(2, 8, 8, 3\): wanted uint8"):
        model.encode_video(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(FileNotFoundError, match="none.mp4"):
        model.encode_video(tmp_path / "none.mp4")
    videos = model.encode_video(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(IndexError, match=r"candidates \[1\]: wanted numbers from 0 to 0"):
        model.rerank("a", videos, [1])
    coarse = ac.load(searchable.write_converted(tmp_path / "clip"))
    assert not coarse.reranks
    with pytest.raises(ValueError, match="no re-ranker: compare embeddings instead"):
        coarse.rerank("a", videos)


def test_a_picture_is_filmed():
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    frames = ac.animate(picture, seed=1, num_frames=3, image_size=32)
    assert frames.shape == (3, 32, 32, 3) and frames.dtype == np.uint8
    again = ac.animate(picture, seed=1, num_frames=3, image_size=32)
    np.testing.assert_array_equal(again, frames)
    assert (ac.animate(picture, seed=2, num_frames=3, image_size=32) != frames).any()
    with pytest.raises(ValueError, match="preset: found 'ful', wanted one of"):
        ac.animate(picture, preset="ful")
    with pytest.raises(ValueError, match=r"a picture uint8 \(90, 120\): wanted uint8 \[H, W, 3\]"):
        ac.animate(picture[..., 0])
