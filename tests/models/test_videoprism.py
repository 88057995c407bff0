"""VideoPrism's towers against its own code, whose outputs are a golden file."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models import attention, towers, videoprism
from animclip_jax.models.clip import Clip
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.retriever import Retriever, RetrieverConfig, TemporalConfig
from animclip_jax.models.towers import VIDEOPRISM
from animclip_jax.models.transformer import Attention
from animclip_jax.weights import videoprism as published
from tests.models.computed import HALF_COSINE, TOLERANCE, Outputs, cosines, difference, load
from tests.small_model import RERANKER, assert_reached
from tests.weights import videoprism as theirs

SMALL = theirs.SMALL


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    with jax.default_matmul_precision("highest"):
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return theirs.save(tmp_path_factory.mktemp("published") / "a.npz", theirs.drawn("small"))


def golden(name: str) -> Outputs:
    with np.load(theirs.OUTPUTS) as wanted:
        start = f"{name}/"
        return {key.removeprefix(start): wanted[key] for key in wanted if key.startswith(start)}


def model_of(path: Path, **changed) -> Clip:
    params, config = published.read(path)
    return load(params, dataclasses.replace(config, **changed))


def computed(model: Clip, name: str) -> Outputs:
    """What `golden` has."""
    frames, tokens = theirs.inputs(name)
    encode = jax.jit(lambda m: (*m.vision.of_videos(frames), m.text(tokens)[0]))
    video, seen, text = encode(nnx.clone(model))
    # Their tokens lie frame behind frame.
    found = {"video_embedding": video[:, 0], "text_embedding": text}
    if name != "b":
        found["frame_embeddings"] = seen[:, :, 0]
        found["spatiotemporal_features"] = seen[:, :, 1:].reshape(len(seen), -1, seen.shape[-1])
    return {key: np.asarray(value, np.float32) for key, value in found.items()}


def worst(found: Outputs, wanted: Outputs) -> float:
    assert found.keys() == wanted.keys()
    return max(difference(found[key], value) for key, value in wanted.items())


@pytest.mark.parametrize("name", ["small", "small_long", "small_short"])
def test_golden_outputs(small, name):
    assert worst(computed(model_of(small), name), golden(name)) <= TOLERANCE


@pytest.mark.slow
def test_golden_outputs_of_the_published_size(tmp_path):
    path = theirs.save(tmp_path / "b.npz", theirs.drawn("b"))
    assert published.read(path)[1] == PRESETS["videoprism_b"]
    assert worst(computed(model_of(path), "b"), golden("b")) <= TOLERANCE


def test_bfloat16_stays_near(small):
    found, wanted = computed(model_of(small, dtype="bfloat16"), "small"), golden("small")
    assert difference(found["video_embedding"], wanted["video_embedding"]) > 1e-4, "not bfloat16"
    named = [
        {"image_embedding": one["video_embedding"], "text_embedding": one["text_embedding"]}
        for one in (found, wanted)
    ]
    assert cosines(*named) >= HALF_COSINE


@pytest.mark.parametrize("change", [{"norm_epsilon": 1e-2}, {"logit_cap": 0.0}])
def test_the_golden_file_shows_each_setting(small, change):
    family = published.read(small)[1].towers
    cap = {key: value for key, value in change.items() if key == "logit_cap"}
    rest = {key: value for key, value in change.items() if key != "logit_cap"}
    video = dataclasses.replace(family.video, **cap)
    changed = dataclasses.replace(family, video=video, **rest)
    found = computed(model_of(small, towers=changed), "small")
    assert worst(found, golden("small")) > 100 * TOLERANCE


def test_padding_changes_no_caption(small):
    model = model_of(small)
    _, tokens = theirs.inputs("small")
    whole = model.text(jnp.asarray(tokens[:2]))
    cut = model.text(jnp.asarray(tokens[:2, :6]))
    np.testing.assert_allclose(cut[0], whole[0], rtol=1e-5, atol=1e-6)
    assert cut[2].tolist() == [[True] * 2 + [False] * 4, [True] * 6]


def test_the_order_of_frames_counts(small):
    model = model_of(small)
    frames, _ = theirs.inputs("small")
    encode = jax.jit(lambda m, x: m.vision.of_videos(x)[0])
    forth, back = (encode(model, jnp.asarray(x)) for x in (frames, frames[:, ::-1]))
    assert difference(np.asarray(forth), np.asarray(back)) > 1e-3


def test_a_retriever_trains_every_parameter():
    model = Retriever(RetrieverConfig(SMALL, RERANKER, num_frames=3), rngs=nnx.Rngs(0))
    head: Any = model.reranker
    head.head_out.kernel[...] = jnp.ones_like(head.head_out.kernel[...])
    frames, tokens = (jnp.asarray(one) for one in theirs.inputs("small_short"))
    graphdef, state = nnx.split(model)

    def loss(params: dict) -> jax.Array:
        merged = nnx.merge(graphdef, params)
        text, video = merged.encode_text(tokens[:2, :9]), merged.encode_video(frames)
        assert video.embedding.shape == (2, 24)
        assert isinstance(video.code, jax.Array) and video.code.shape == (2, 3 * 5, 20)
        return (merged.fused_scores(text, video) * jnp.array([1.0, 2.0])).sum()

    gradient = jax.jit(jax.grad(loss))(nnx.to_pure_dict(state))
    assert_reached(gradient)


def test_layers_in_time_of_ours_are_for_towers_of_pictures():
    with pytest.raises(ValueError, match="temporal.layers 2: wanted 0"):
        RetrieverConfig(SMALL, RERANKER, num_frames=3, temporal=TemporalConfig(layers=2))


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"video": {"frames": 4}}, "video.frames 4 with .* wanted VideoPrism's"),
        ({"text": {"projection": "none"}}, "text.projection 'none': wanted matrix or dense"),
    ],
)
def test_towers_that_can_not_be_are_named(fields, said):
    with pytest.raises(ValueError, match=said):
        towers.Towers.from_dict(fields)


def test_layers_are_counted():
    video = dataclasses.replace(VIDEOPRISM.video, temporal_layers=0)
    with pytest.raises(ValueError, match="temporal_layers 0: wanted a whole number from 1"):
        dataclasses.replace(SMALL, towers=dataclasses.replace(VIDEOPRISM, video=video))
    with pytest.raises(ValueError, match="wanted the text tower's width, 24"):
        vision = dataclasses.replace(SMALL.vision, width=12)
        dataclasses.replace(SMALL, vision=vision, embed_dim=12)


def test_the_family_is_read_again_from_its_fields():
    assert ClipConfig.from_dict(dataclasses.asdict(SMALL)) == SMALL


def test_sinusoids_begin_with_the_fastest_and_end_with_the_slowest():
    found = np.asarray(videoprism.sinusoids(3, 6))
    turned = np.arange(3)[:, None] / np.array([1.0, 100.0, 10_000.0])
    wanted = np.concatenate([np.sin(turned), np.cos(turned)], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert videoprism.sinusoids(3, 5).shape == (3, 5)


def test_queries_of_a_long_sequence_take_turns(monkeypatch):
    rng = np.random.default_rng(0)
    given = [jnp.asarray(3 * rng.normal(size=(2, 3, 12, 8)), jnp.float32) for _ in range(3)]

    def computed() -> tuple:
        def summed(parts: list) -> tuple[jax.Array, jax.Array]:
            query, key, value = parts
            found = attention.capped(query, key, value, None, 5.0)
            return jnp.sum(found * given[0]), found

        assert ("scan" in str(jax.make_jaxpr(summed)(given))) == (attention.AT_ONCE < 144)
        return jax.value_and_grad(summed, has_aux=True)(given)

    whole = computed()
    monkeypatch.setattr(attention, "AT_ONCE", 48)
    for one, other in zip(jax.tree.leaves(computed()), jax.tree.leaves(whole), strict=True):
        # An element that nearly cancels is as exact as its summands, not to its own last digits.
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


@pytest.mark.parametrize("frames", [3, 8, 10, 12, 16, 32])
def test_of_any_number_of_frames_few_logits_are_in_memory(frames):
    of_frame = 256  # patches of VideoPrism
    given = jax.ShapeDtypeStruct((1, 1, frames * of_frame, 8), jnp.float32)
    compute = functools.partial(attention.capped, seen=None, cap=50.0)
    program = jax.jit(compute).lower(given, given, given).compile()
    memory: Any = program.memory_analysis()
    # Logits and their shares, and little else.
    assert memory.temp_size_in_bytes < 4 * 4 * attention.AT_ONCE


def test_attention_with_a_cap_is_computed_by_xla_alone():
    frames, _ = theirs.inputs("small")
    model = Clip(SMALL, rngs=nnx.Rngs(0))
    encode = jax.jit(lambda m: m.vision.of_videos(jnp.asarray(frames))[0])
    before = encode(model)
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Attention):
            module.by_cudnn, module.mix = True, functools.partial(pytest.fail, "not capped")
    np.testing.assert_array_equal(encode(model), before)
