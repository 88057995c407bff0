"""PE-Core and SigLIP against timm, open_clip and transformers, whose outputs are golden files."""

import dataclasses
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from animclip_jax.models import rotary, towers
from animclip_jax.models.clip import Clip, ClipConfig
from animclip_jax.weights import rules, timm_names
from animclip_jax.weights.deferred import Array
from animclip_jax.weights.rules import Layout
from tests.models.computed import (
    HALF_COSINE,
    TOLERANCE,
    assert_equal_outputs,
    cosines,
    difference,
    embeddings,
    load,
    outputs,
)
from tests.weights.families import FAMILIES, golden, inputs
from tests.weights.reference import GOLDEN


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    with jax.default_matmul_precision("highest"):
        yield


def params_of(name: str) -> Mapping[str, Array]:
    layout = Layout.HUGGING_FACE if name == "siglip" else Layout.OPENAI
    tensors = rules.unfuse(timm_names.to_openai(golden(name)))
    return rules.to_ours(tensors, FAMILIES[name], layout, name)


@pytest.mark.parametrize("name", FAMILIES)
def test_golden_outputs(name):
    """Embeddings, logits, and what enters and leaves each block."""
    with np.load(GOLDEN / f"{name}.npz") as wanted:
        model = load(params_of(name), FAMILIES[name])
        assert_equal_outputs(outputs(model, *inputs(FAMILIES[name])), dict(wanted))


@pytest.mark.parametrize("name", FAMILIES)
def test_bfloat16_stays_near(name):
    config = dataclasses.replace(FAMILIES[name], dtype="bfloat16")
    found = embeddings(load(params_of(name), config), *inputs(config))
    with np.load(GOLDEN / f"{name}.npz") as wanted:
        assert difference(found["image_embedding"], wanted["image_embedding"]) > 1e-4, (
            "not bfloat16"
        )
        assert cosines(found, dict(wanted)) >= HALF_COSINE


@pytest.mark.parametrize(
    "change",
    [
        {"norm_epsilon": 1e-2},
        {"vision": {"rotary": False}},
        {"text": {"causal": False}},
        {"text": {"end": 5}},
    ],
)
def test_the_golden_files_show_each_difference_of_a_family(change):
    config = FAMILIES["pe_core"]
    parts = {
        part: dataclasses.replace(getattr(config.towers, part), **fields)
        if isinstance(fields, dict)
        else fields
        for part, fields in change.items()
    }
    config = dataclasses.replace(config, towers=dataclasses.replace(config.towers, **parts))
    found = embeddings(load(params_of("pe_core"), config), *inputs(config))
    with np.load(GOLDEN / "pe_core.npz") as wanted:
        worst = max(difference(found[name], wanted[name]) for name in found)
    assert worst > 100 * TOLERANCE


@pytest.mark.parametrize("name", FAMILIES)
def test_tensors_there_and_back_are_equal(name):
    found: Mapping[str, Array]
    wanted: Mapping[str, Array]
    if name != "siglip":
        config, params = FAMILIES[name], params_of(name)
        again = rules.to_theirs(params, config, Layout.OPENAI)
        found = rules.to_ours(rules.unfuse(again), config, Layout.OPENAI, name)
        wanted = params
    else:
        wanted = golden(name)
        found = rules.to_theirs(params_of(name), FAMILIES[name], Layout.HUGGING_FACE)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_a_frames_first_token_is_what_was_pooled():
    config = FAMILIES["siglip"]
    frames, _ = inputs(config)
    model = Clip(config, rngs=nnx.Rngs(0))
    embedding, tokens = model.vision(jnp.asarray(frames))
    assert tokens.shape == (3, 1 + config.grid**2, config.vision.width)
    np.testing.assert_allclose(tokens[:, 0], embedding, rtol=1e-6)


def test_a_captions_own_tokens_end_with_its_first_end():
    config = FAMILIES["siglip"]
    model = Clip(config, rngs=nnx.Rngs(0))
    length = config.context_length
    tokens = jnp.array([[7, 8] + [1] * (length - 2), [7] * length])
    _, _, mask = model.text(tokens)
    assert mask.tolist() == [[True] * 3 + [False] * (length - 3), [True] * length]


def test_a_caption_with_the_first_id_of_clips_vocabulary_keeps_it():
    """Id 0 is an exclamation mark that another character follows, and padding as well."""
    config = dataclasses.replace(FAMILIES["pe_core"], towers=towers.CLIP)
    _, _, mask = Clip(config, rngs=nnx.Rngs(0)).text(jnp.array([[97, 5, 0, 6, 98, 0, 0]]))
    assert mask.tolist() == [[True] * 5 + [False] * 2]


def test_patches_turn_by_their_row_and_column():
    angles = rotary.angles(3, 8, class_token=True)
    assert angles.shape == (10, 4)
    np.testing.assert_array_equal(angles[0], 0)  # [CLS]
    speeds = [1.0, 0.01]
    # The patch in the second row, third column; both are counted from 1.
    np.testing.assert_allclose(angles[1 + 3 + 2], [3 * s for s in speeds] + [2 * s for s in speeds])
    assert rotary.angles(3, 8, class_token=False)[0].tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="multiple of 4"):
        rotary.angles(3, 6, class_token=True)


def test_turning_keeps_lengths_and_knows_only_distances():
    rng = np.random.default_rng(0)
    query, key = (jnp.asarray(rng.normal(size=(9, 1, 8)), jnp.float32) for _ in range(2))
    angles = jnp.asarray(rotary.angles(3, 8, class_token=False))
    turned, other = rotary.rotate(query, angles), rotary.rotate(key, angles)
    lengths = jnp.linalg.norm(turned, axis=-1), jnp.linalg.norm(query, axis=-1)
    np.testing.assert_allclose(lengths[0], lengths[1], rtol=1e-5)
    same = jnp.broadcast_to(query[:1], query.shape), jnp.broadcast_to(key[:1], key.shape)
    q, k = (rotary.rotate(x, angles)[:, 0] for x in same)
    # Down one row: from patch 0 to 3 as from 4 to 7.
    np.testing.assert_allclose(q[0] @ k[3], q[4] @ k[7], rtol=1e-4)
    assert abs(float(q[0] @ k[3] - q[0] @ k[1])) > 1e-3
    assert other.shape == key.shape


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"vision": {"class_token": False}}, "pool 'class' without class_token"),
        ({"vision": {"pool": "mean"}}, "pool 'mean': wanted one of class, map"),
        ({"pixels": {"resize": "longest"}}, "resize 'longest': wanted one of shortest, squash"),
    ],
)
def test_towers_that_can_not_be_are_named(fields, said):
    with pytest.raises(ValueError, match=said):
        towers.Towers.from_dict(fields)


def test_a_family_is_read_again_from_its_fields():
    for config in FAMILIES.values():
        assert ClipConfig.from_dict(dataclasses.asdict(config)) == config
