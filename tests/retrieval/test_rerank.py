"""Stage two: every pair gets its own score, whatever the chunks; through the real encoder."""

import dataclasses

import jax
import numpy as np
import pytest

from animclip_jax.models import parameters, reranker, towers
from animclip_jax.retrieval import rerank
from animclip_jax.retrieval.encode import Encoder
from tests.small_model import CONFIG, captions, clips


@pytest.fixture(scope="module")
def encoder(split) -> Encoder:
    params = parameters.draw(CONFIG, 0)
    params["reranker"]["head_out"]["kernel"] = jax.random.normal(jax.random.key(1), (24, 1))
    return Encoder(split, parameters.graph_definition(CONFIG), params)


@pytest.fixture(scope="module")
def tokens() -> np.ndarray:
    """Captions of 3 to 12 tokens."""
    random = np.random.default_rng(0)
    found = np.zeros((9, 12), np.int32)
    for row, length in enumerate((3, 12, 7, 4, 8, 5, 12, 3, 6)):
        found[row, :length] = [98, *random.integers(1, 98, length - 2), 99]
    return found


@pytest.fixture(scope="module")
def video(encoder):
    frames = (np.asarray(clips(4)) * 255).astype(np.uint8)
    return encoder.encode_video(frames, 4)


def one_by_one(encoder, tokens, video, rows, columns):
    """Each pair alone, its caption padded to the context length."""
    found = np.empty(rows.shape, np.float32)
    for place in np.ndindex(rows.shape):
        text = encoder.encode_text(tokens[rows[place]][None])
        one = jax.tree.map(lambda x, i=columns[place]: x[i : i + 1], video)
        found[place] = encoder.fused_scores(text, one, None, None)[0]
    return found


@pytest.mark.parametrize("on_device", [True, False])
def test_pairs_in_chunks_equal_pairs_one_by_one(encoder, tokens, video, monkeypatch, on_device):
    monkeypatch.setattr(rerank, "MIN_PAIRS", 2)
    monkeypatch.setattr(rerank, "MAX_TOKENS", 80)
    monkeypatch.setattr(reranker, "CAPTION_BUCKETS", (4, 8))
    if not on_device:
        monkeypatch.setattr(rerank, "MAX_DEVICE_BYTES", 0)
    text = rerank.encode_captions(encoder, tokens, 4)
    assert [some.mask.shape for some in text.features] == [(3, 4), (4, 8), (2, 12)]
    rows = np.array([[0, 4, 2, 6, 8, 8], [1, 1, 3, 7, 5, 4]])
    columns = np.array([[3, 0, 2, 1, 1, 2], [1, 2, 0, 0, 3, 0]])
    scorer = rerank.PairScorer(encoder, text, video)
    assert scorer.videos.held == on_device
    told: list[int] = []
    found = scorer(rows, columns, told.append)
    assert sum(told) == 12 and max(told) <= 4
    wanted = one_by_one(encoder, tokens, video, rows, columns)
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    assert np.ptp(wanted) > 1


def test_a_query_is_scored_as_one_caption_for_all_its_videos(encoder, tokens, video):
    text = rerank.encode_captions(encoder, tokens[1:2], encoder.num_parts)
    columns = np.array([3, 0, 2, 2, 1])
    found = rerank.PairScorer(encoder, text, video)(np.zeros(5, int), columns)
    wanted = one_by_one(encoder, tokens, video, np.ones(5, int), columns)
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    assert np.ptp(wanted) > 1


@pytest.mark.parametrize(("pairs", "at_once"), [(0, 10), (3, 10), (50, 50), (64, 64), (65, 128)])
def test_few_pairs_are_padded_to_a_multiple_of_ten(pairs, at_once):
    assert rerank._pairs_at_once(pairs, 76, num_parts=1) == at_once
    assert rerank._pairs_at_once(pairs, 76, num_parts=8) == -(-at_once // 8) * 8


def test_each_caption_is_encoded_once(encoder, tokens, monkeypatch):
    monkeypatch.setattr(reranker, "CAPTION_BUCKETS", (4, 8))
    text = rerank.encode_captions(encoder, tokens, 4)
    for row, one in enumerate(tokens):
        alone = encoder.encode_text(one[None])
        np.testing.assert_allclose(text.embedding[row], alone.embedding[0], atol=1e-5)
        features = text.features[text.bucket[row]]
        length = (one > 0).sum()
        np.testing.assert_allclose(
            features.hidden[text.place[row], :length], alone.hidden[0, :length], atol=1e-4
        )
        assert features.mask[text.place[row]].sum() == length
    places = sorted(zip(text.bucket.tolist(), text.place.tolist(), strict=True))
    assert places == [(b, p) for b, n in enumerate((3, 4, 2)) for p in range(n)]


@pytest.mark.parametrize("causal", [False, True])
def test_a_caption_whose_last_place_is_pooled_is_encoded_with_its_padding(
    split, tokens, monkeypatch, causal
):
    monkeypatch.setattr(reranker, "CAPTION_BUCKETS", (4, 8))
    text = dataclasses.replace(towers.SIGLIP.text, causal=causal, end=99)
    family = dataclasses.replace(towers.CLIP, text=text)
    config = dataclasses.replace(CONFIG, clip=dataclasses.replace(CONFIG.clip, towers=family))
    params = parameters.draw(config, 0)
    encoder = Encoder(split, parameters.graph_definition(config), params)
    found = rerank.encode_captions(encoder, tokens, 4).embedding
    whole = encoder.encode_text(tokens).embedding
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert not encoder.cuts_padding
    with pytest.raises(ValueError, match="captions of 4 tokens: wanted 12, .* keep it as its tok"):
        encoder.encode_text(tokens[:1, :4])


def test_codes_come_from_a_memory_mapped_file(encoder, tokens, video, tmp_path):
    leaves, layout = jax.tree.flatten(video.code)
    for number, leaf in enumerate(leaves):
        np.save(tmp_path / f"{number}.npy", leaf)
    stored = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(len(leaves))]
    mapped = video._replace(code=jax.tree.unflatten(layout, stored))
    text = rerank.encode_captions(encoder, tokens, 4)
    rows, columns = np.arange(9), np.arange(9) % 4
    scorer = rerank.PairScorer(encoder, text, mapped)
    assert not scorer.videos.held
    found = scorer(rows, columns)
    np.testing.assert_allclose(found, rerank.PairScorer(encoder, text, video)(rows, columns), 1e-4)


def test_a_shape_is_compiled_once(encoder, tokens, video):
    text = rerank.encode_captions(encoder, tokens, 4)
    scorer = rerank.PairScorer(encoder, text, video)
    scorer(np.arange(9), np.zeros(9, int))
    before = encoder.compile_seconds
    assert before > 0
    scorer(np.arange(8), np.ones(8, int))
    assert encoder.compile_seconds == before


def test_codes_are_what_an_index_stores(video):
    assert video.code.values.dtype == np.int8 and video.code.scales.dtype == np.float16


def test_buckets_of_captions():
    lengths = np.array([2, 16, 17, 32, 33, 77])
    assert reranker.caption_buckets(lengths, 77).tolist() == [8, 16, 32, 32, 77, 77]
    assert reranker.caption_buckets(lengths[:3], 24).tolist() == [8, 16, 24]
    few = reranker.caption_buckets(lengths[:1], 6)
    assert few.tolist() == [6] and few.dtype.kind == "i"
    with pytest.raises(ValueError, match="a caption of 33 tokens, wanted at most 24"):
        reranker.caption_buckets(lengths[:5], 24)


def test_the_captions_of_the_models_tests_go_through(encoder, video):
    text = rerank.encode_captions(encoder, np.asarray(captions(5)), 4)
    assert rerank.PairScorer(encoder, text, video)(np.arange(5), np.zeros(5, int)).shape == (5,)
