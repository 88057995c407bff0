"""The functions of an export are the model's, by name."""

import re
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx, traverse_util

from animclip_jax.exporting import functions
from animclip_jax.models.retriever import Retriever
from tests.exporting.models import CLIP, WHOLE, source
from tests.small_model import captions, clips


@pytest.fixture(scope="module")
def model() -> Retriever:
    model = nnx.eval_shape(lambda: Retriever(WHOLE, rngs=nnx.Rngs(0)))
    graphdef, _ = nnx.split(model)
    return nnx.merge(graphdef, traverse_util.unflatten_dict(source().params, sep="/"))


def test_they_compute_what_the_model_does(model):
    frames, tokens = np.asarray(clips(4) * 255).astype(np.uint8), captions(4)
    text, video = model.encode_text(tokens), model.stored(model.encode_video(frames / 255.0))
    given: dict[str, Any] = {"frames": frames, "tokens": tokens}
    params = source().params
    for name, function in functions.make(WHOLE, WHOLE.num_frames).items():
        given |= jax.jit(function.call)(params, given)
        assert set(function.outputs) <= set(given), name
    np.testing.assert_allclose(given["text_embedding"], text.embedding, atol=1e-5)
    np.testing.assert_array_equal(given["text_mask"], text.mask)
    np.testing.assert_allclose(given["video_embedding"], video.embedding, atol=1e-5)
    assert np.abs(np.asarray(given["video_code"], int) - video.code.values).max() <= 1
    np.testing.assert_allclose(given["scores"], model.fused_scores(text, video), rtol=1e-3)


def test_dual_encoders_have_no_more_than_embeddings():
    made = functions.make(CLIP, 5)
    assert {name: set(one.outputs) for name, one in made.items()} == {
        "encode_text": {"text_embedding"},
        "encode_video": {"video_embedding"},
    }
    assert made["encode_video"].inputs["frames"].shape[1] == 5
    assert set(made["encode_text"].parameters) == set(source(CLIP).params)


def test_sizes_are_the_callers_or_given():
    shapes = functions.describe(functions.make(WHOLE, 3), 100)
    assert shapes["rerank"]["inputs"]["text_hidden"]["shape"] == ["batch", "length", 32]
    fixed = functions.describe(functions.make(WHOLE, 3, batch_size=6), 100)
    assert fixed["rerank"]["inputs"]["text_hidden"]["shape"] == [6, 12, 32]
    assert not re.search("batch|length", str(fixed))


def test_the_setting_goes_when_the_block_ends():
    config: Any = jax.config
    before = config.jax_traceback_in_locations_limit
    with pytest.raises(RuntimeError), functions.without_paths():
        assert config.jax_traceback_in_locations_limit == 0 != before
        raise RuntimeError
    assert config.jax_traceback_in_locations_limit == before
