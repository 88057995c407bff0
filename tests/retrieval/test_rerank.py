"""Stage two: every pair gets its own score, whatever the chunks; through the real encoder."""

import jax
import numpy as np
import pytest

from animclip_jax import sharding, step
from animclip_jax.retrieval import rerank
from animclip_jax.retrieval.encode import Encoder
from tests.models.test_retriever import CONFIG, captions, clips


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    params = step.init_params(CONFIG, 0)
    params["reranker"]["head_out"]["kernel"] = jax.random.normal(jax.random.key(1), (24, 1))
    mesh = sharding.make_mesh(sharding.MeshConfig(-1, 1))
    return Encoder(mesh, step.graph_definition(CONFIG), params)


def test_pairs_in_chunks_equal_pairs_one_by_one(encoder, monkeypatch):
    text = encoder.encode_text(np.asarray(captions(5)))
    frames = (np.asarray(clips(4)) * 255).astype(np.uint8)
    video = encoder.encode_video(frames)
    rows, columns = np.array([[0, 4, 2], [1, 1, 3]]), np.array([[3, 0, 2], [1, 2, 0]])
    monkeypatch.setattr(rerank, "CHUNK", 4)
    found = rerank.score_pairs(encoder, text, video, rows, columns)
    assert found.shape == (2, 3)
    for place in np.ndindex(2, 3):
        one_text = jax.tree.map(lambda x, i=rows[place]: x[i : i + 1], text)
        one_video = jax.tree.map(lambda x, i=columns[place]: x[i : i + 1], video)
        alone = encoder.fused_scores(one_text, one_video)[0]
        np.testing.assert_allclose(found[place], alone, atol=1e-4)


def test_codes_are_what_an_index_stores(encoder):
    video = encoder.encode_video(np.zeros((2, 3, 32, 32, 3), np.uint8))
    assert video.code.values.dtype == np.int8 and video.code.scales.dtype == np.float16
