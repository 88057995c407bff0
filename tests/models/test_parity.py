"""Our towers against Hugging Face's CLIP on the same random weights: embeddings, logits, blocks."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, traverse_util

from animclip_jax.models.clip import Clip, ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.retriever import unit
from animclip_jax.models.transformer import Transformer
from animclip_jax.weights import folder, hugging_face_config, rules, source
from tests.weights import reference

# Greatest difference over greatest value, float32.
TOLERANCE = 1e-5
Outputs = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    with jax.default_matmul_precision("highest"):
        yield


def load(params: Outputs, config: ClipConfig) -> Clip:
    """A model with these parameters; draws none of its own."""
    graphdef = nnx.split(nnx.eval_shape(lambda: Clip(config, rngs=nnx.Rngs(0))))[0]
    tree = traverse_util.unflatten_dict({k: jnp.asarray(v) for k, v in params.items()}, sep="/")
    return nnx.merge(graphdef, tree)


class Recorder:
    """Stands in for a tower's transformer and keeps what enters and leaves each of its blocks."""

    def __init__(self, transformer: Transformer):
        self.graphdef, self.layers = nnx.split(transformer.blocks.layers)
        self.transformer = transformer
        self.seen: list[jax.Array] = []

    def __call__(self, x: jax.Array, angles: jax.Array | None = None) -> jax.Array:
        result = self.transformer(x, angles)
        self.seen = [x]
        for i in range(jax.tree.leaves(self.layers)[0].shape[0]):
            layer = jax.tree.map(lambda leaf, i=i: leaf[i], self.layers)
            self.seen.append(jax.jit(nnx.merge(self.graphdef, layer))(self.seen[-1], angles))
        np.testing.assert_allclose(self.seen[-1], result, rtol=1e-3, atol=1e-3)
        return result


def ours(model: Clip, frames: np.ndarray, tokens: np.ndarray) -> Outputs:
    """What `reference.outputs` gives, of our model."""
    embeddings = jax.jit(lambda m: (m.vision(frames)[0], m.text(tokens)[0]))
    image, text = embeddings(nnx.clone(model))
    cosines = jnp.matmul(unit(text), unit(image).T)
    result = {"image_embedding": image, "text_embedding": text}
    result["logits"] = model.logit_scale * cosines
    for name, tower, given in (("vision", model.vision, frames), ("text", model.text, tokens)):
        recorder: Any = Recorder(tower.transformer)
        tower.transformer = recorder
        tower(jnp.asarray(given))
        tower.transformer = recorder.transformer
        result[f"{name}_blocks"] = jnp.stack(recorder.seen)
    return {name: np.asarray(value, np.float32) for name, value in result.items()}


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    return np.abs(found - wanted).max() / np.abs(wanted).max()


def assert_equal_outputs(found: Outputs, wanted: Outputs) -> None:
    worst = {}
    for name in ("image_embedding", "text_embedding", "logits"):
        worst[name] = difference(found[name], wanted[name])
    for tower in ("vision_blocks", "text_blocks"):
        pairs = zip(found[tower], wanted[tower], strict=True)
        for i, (a, b) in enumerate(pairs):
            worst[f"{tower}[{i}]"] = difference(a, b)
    print({name: f"{value:.1e}" for name, value in worst.items()})
    assert {name: value for name, value in worst.items() if not value <= TOLERANCE} == {}


def cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.sum(np.asarray(unit(jnp.asarray(found)) * unit(jnp.asarray(wanted))), axis=-1)


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
    assert_equal_outputs(ours(model, frames, tokens), wanted)


def test_golden_outputs_of_openais_archive():
    params, config = source.read(reference.GOLDEN / "openai.pt")
    assert config == reference.GOLDEN_CLIP
    frames, tokens = reference.inputs(config, 3)
    with np.load(reference.GOLDEN / "one_head.npz") as wanted:
        assert_equal_outputs(ours(load(params, config), frames, tokens), dict(wanted))


def test_golden_outputs_in_bfloat16(tmp_path):
    model, config, wanted = golden(tmp_path, "heads")
    half = load_as(model, dataclasses.replace(config, dtype="bfloat16"))
    frames, tokens = reference.inputs(config, 3)
    found = ours(half, frames, tokens)
    assert difference(found["image_embedding"], wanted["image_embedding"]) > 1e-4, "not bfloat16"
    for name in ("image_embedding", "text_embedding"):
        assert cosines(found[name], wanted[name]).min() >= 0.999


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
    assert_equal_outputs(ours(model, frames, tokens), wanted)
    half = ours(load(params, dataclasses.replace(config, dtype="bfloat16")), frames, tokens)
    for name in ("image_embedding", "text_embedding"):
        assert cosines(half[name], wanted[name]).min() >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("name", PRESETS)
def test_every_presets_architecture_equals_transformers(name, activation, tmp_path):
    config = dataclasses.replace(shortened(name), activation=activation)
    compare_with_transformers(config, 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny", "vit_b32", "vit_b16", "vit_l14"])
def test_whole_presets_equal_transformers(name, tmp_path):
    compare_with_transformers(PRESETS[name], 2, tmp_path)
