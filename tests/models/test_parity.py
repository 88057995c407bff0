"""Our towers against Hugging Face's CLIP on the same random weights: embeddings, logits, blocks."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx, traverse_util

from animclip_jax.models.clip import Clip, ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.towers import CLIP
from animclip_jax.weights import folder, hugging_face_config, rules, source
from tests.models.computed import (
    HALF_COSINE,
    Outputs,
    assert_equal_outputs,
    cosines,
    difference,
    embeddings,
    load,
    outputs,
)
from tests.weights import reference


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    with jax.default_matmul_precision("highest"):
        yield


def golden(tmp_path: Path, name: str) -> tuple[Clip, ClipConfig, Outputs]:
    """A golden model read as a folder of Hugging Face's, and what the reference computed."""
    for there, here in ((f"{name}.json", folder.CONFIG), ("model.safetensors", folder.TENSORS)):
        (tmp_path / here).write_bytes((reference.GOLDEN / there).read_bytes())
    params, config = source.read(tmp_path)
    with np.load(reference.GOLDEN / f"{name}.npz") as wanted:
        return load(params, config), config, dict(wanted)


@pytest.mark.parametrize("name", ["one_head", "heads"])
def test_golden_outputs(tmp_path, name):
    model, config, wanted = golden(tmp_path, name)
    frames, tokens = reference.inputs(config, 3)
    assert_equal_outputs(outputs(model, frames, tokens), wanted)


def test_golden_outputs_of_openais_archive():
    params, config = source.read(reference.GOLDEN / "openai.pt")
    assert config == reference.GOLDEN_CLIP
    frames, tokens = reference.inputs(config, 3)
    with np.load(reference.GOLDEN / "one_head.npz") as wanted:
        assert_equal_outputs(outputs(load(params, config), frames, tokens), dict(wanted))


def test_golden_outputs_in_bfloat16(tmp_path):
    model, config, wanted = golden(tmp_path, "heads")
    half = load_as(model, dataclasses.replace(config, dtype="bfloat16"))
    frames, tokens = reference.inputs(config, 3)
    found = embeddings(half, frames, tokens)
    assert difference(found["image_embedding"], wanted["image_embedding"]) > 1e-4, "not bfloat16"
    assert cosines(found, wanted) >= HALF_COSINE


def load_as(model: Clip, config: ClipConfig) -> Clip:
    """The same parameters, computed otherwise."""
    tree = nnx.to_pure_dict(nnx.state(model))
    return load(traverse_util.flatten_dict(tree, sep="/"), config)


def shortened(name: str) -> ClipConfig:
    """A preset with two layers a tower: every shape and every layout, in seconds."""
    config = PRESETS[name]
    return dataclasses.replace(
        config,
        vision=dataclasses.replace(config.vision, layers=2),
        text=dataclasses.replace(config.text, layers=2),
    )


def compare_with_transformers(config: ClipConfig, count: int, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="parity on random weights needs the extra `parity`")
    pytest.importorskip("transformers")
    reference_model = reference.random_clip(config)
    frames, tokens = reference.inputs(config, count)
    wanted = reference.outputs(reference_model, frames, tokens)
    tensors = {name: value.numpy() for name, value in reference_model.state_dict().items()}
    del reference_model
    described = hugging_face_config.read(hugging_face_config.write(config), "config")
    assert described == config
    params = rules.to_ours(tensors, config, rules.Layout.HUGGING_FACE, "the reference")
    del tensors
    model = load(params, config)
    assert_equal_outputs(outputs(model, frames, tokens), wanted)
    half = load(params, dataclasses.replace(config, dtype="bfloat16"))
    assert cosines(embeddings(half, frames, tokens), wanted) >= HALF_COSINE


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("name", [name for name, own in PRESETS.items() if own.towers == CLIP])
def test_every_clips_architecture_equals_transformers(name, activation, tmp_path):
    config = dataclasses.replace(shortened(name), activation=activation)
    compare_with_transformers(config, 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "vit_b32", "vit_b16", "vit_l14"])
def test_whole_presets_equal_transformers(name, tmp_path):
    compare_with_transformers(PRESETS[name], 2, tmp_path)
