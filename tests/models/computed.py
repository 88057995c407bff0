"""What our towers compute, block by block, and how far that is from what others compute."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from animclip_jax.models.clip import Clip, ClipConfig
from animclip_jax.models.retriever import unit
from animclip_jax.models.transformer import Transformer
from animclip_jax.weights.deferred import Array

# Greatest difference over greatest value, float32.
TOLERANCE = 1e-5
# Least cosine of an embedding that was computed in bfloat16.
HALF_COSINE = 0.999
Outputs = dict[str, np.ndarray]


def load(params: Mapping[str, Array], config: ClipConfig) -> Clip:
    """A model with these parameters; draws none of its own."""
    graphdef = nnx.split(nnx.eval_shape(lambda: Clip(config, rngs=nnx.Rngs(0))))[0]
    arrays = {name: jnp.asarray(np.asarray(value)) for name, value in params.items()}
    tree = traverse_util.unflatten_dict(arrays, sep="/")
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
        # One program for all of the layers, whose parameters are its argument.
        block = jax.jit(lambda layer, x: nnx.merge(self.graphdef, layer)(x, angles))
        for i in range(jax.tree.leaves(self.layers)[0].shape[0]):
            layer = jax.tree.map(lambda leaf, i=i: leaf[i], self.layers)
            self.seen.append(block(layer, self.seen[-1]))
        np.testing.assert_allclose(self.seen[-1], result, rtol=1e-3, atol=1e-3)
        return result


def outputs(model: Clip, frames: np.ndarray, tokens: np.ndarray) -> Outputs:
    """Embeddings, logits [text, image], and what enters and leaves each block of both towers."""
    result = embeddings(model, frames, tokens)
    for name, tower, given in (("vision", model.vision, frames), ("text", model.text, tokens)):
        recorder: Any = Recorder(tower.transformer)
        tower.transformer = recorder
        tower(jnp.asarray(given))
        tower.transformer = recorder.transformer
        result[f"{name}_blocks"] = np.asarray(jnp.stack(recorder.seen), np.float32)
    return result


def embeddings(model: Clip, frames: np.ndarray, tokens: np.ndarray) -> Outputs:
    """The embeddings and the logits alone."""
    compute = jax.jit(lambda m: (m.vision(frames)[0], m.text(tokens)[0]))
    image, text = compute(nnx.clone(model))
    bias = 0.0 if model.logit_bias is None else model.logit_bias[...]
    logits = model.logit_scale * jnp.matmul(unit(text), unit(image).T) + bias
    found = {"image_embedding": image, "text_embedding": text, "logits": logits}
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The greatest difference over the greatest value."""
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def differences(found: Outputs, wanted: Outputs) -> dict[str, float]:
    """Of each output, and of each block by its number; 0 is what enters the first one."""
    assert found.keys() == wanted.keys()
    result: dict[str, float] = {}
    for name, value in wanted.items():
        if name.endswith("_blocks"):
            pairs = zip(found[name], value, strict=True)
            result |= {f"{name}[{i}]": difference(a, b) for i, (a, b) in enumerate(pairs)}
        else:
            result[name] = difference(found[name], value)
    return result


def assert_equal_outputs(found: Outputs, wanted: Outputs) -> None:
    worst = differences(found, wanted)
    print({name: f"{value:.1e}" for name, value in worst.items()})
    assert {name: value for name, value in worst.items() if not value <= TOLERANCE} == {}


def cosines(found: Outputs, wanted: Outputs) -> float:
    """The least cosine of an embedding of a picture or a caption with what it should be."""
    return min(
        float((unit(jnp.asarray(found[name])) * unit(jnp.asarray(wanted[name]))).sum(-1).min())
        for name in ("image_embedding", "text_embedding")
    )
