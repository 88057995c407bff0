"""VideoPrism's own video-text encoders: the names of their parameters, and what they compute.

    PYTHONPATH=VIDEOPRISM:. python -m tests.weights.videoprism

VIDEOPRISM is a checkout of github.com/google-deepmind/videoprism; its encoders need flax, einops
and einshape. Writes NAMES and the golden outputs, which tests read everywhere.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.presets import PRESETS
from animclip_jax.models.towers import VIDEOPRISM, VideoTowerConfig
from animclip_jax.models.transformer import TransformerConfig
from tests.weights import shape_tables
from tests.weights.reference import GOLDEN
from tests.weights.shape_tables import Shapes

NAMES = GOLDEN / "videoprism_names.json"
OUTPUTS = GOLDEN / "videoprism.npz"
# The checkout that the files are of.
COMMIT = "d481d91b9bf8c9d330d1e526e511a359c799bbe1"
SMALL = ClipConfig(
    image_size=18,
    patch_size=6,
    vision=TransformerConfig(width=24, layers=3, heads=3, mlp_width=40),
    text=TransformerConfig(width=24, layers=2, heads=3, mlp_width=96),
    context_length=65,
    vocab_size=99,
    embed_dim=24,
    activation="gelu",
    towers=dataclasses.replace(VIDEOPRISM, video=VideoTowerConfig(4, 2, 1, 50.0)),
)
# Frames of a video: as many as have positions in time, or others, which are interpolated.
FRAMES = {"small": 4, "small_long": 7, "small_short": 3, "b": 2}
CONFIGS = {name: PRESETS["videoprism_b"] if name == "b" else SMALL for name in FRAMES}
PREFIX = "params/"


def model(config: ClipConfig) -> Any:
    """VideoPrism's video-text encoders of that size."""
    from videoprism import encoders

    video = config.towers.video
    return encoders.FactorizedVideoCLIP(
        patch_size=config.patch_size,
        pos_emb_shape=(video.frames, config.grid, config.grid),
        num_spatial_layers=config.vision.layers,
        num_temporal_layers=video.temporal_layers,
        mlp_dim=config.vision.mlp_width,
        num_auxiliary_layers=video.auxiliary_layers,
        vocabulary_size=config.vocab_size,
        num_unimodal_layers=config.text.layers,
        model_dim=config.vision.width,
        num_heads=config.vision.heads,
        atten_logit_cap=video.logit_cap,
        scan=True,
    )


def inputs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """frames float32 [2 or 1, T, S, S, 3] in [0, 1]; tokens int32 [3, L] as our tokenizer's."""
    config, rng = CONFIGS[name], np.random.default_rng(1)
    size = config.image_size
    frames = rng.random((1 if name == "b" else 2, FRAMES[name], size, size, 3), np.float32)
    tokens = np.zeros((3, config.context_length), np.int32)
    for row, own in zip(tokens, (1, 5, config.context_length - 1), strict=True):
        row[:own] = rng.integers(3, config.vocab_size, own)
        row[own] = config.towers.text.end
    return frames, tokens


def shapes(config: ClipConfig) -> Shapes:
    """Of all parameters that VideoPrism makes, by slash-joined name."""
    side = config.image_size
    pictures = jnp.zeros((1, config.towers.video.frames, side, side, 3))
    captions, padding = (jnp.zeros((1, 3), dtype) for dtype in (jnp.int32, jnp.float32))
    return shape_tables.of(
        jax.eval_shape(
            lambda: model(config).init(jax.random.key(0), pictures, captions, padding)["params"]
        )
    )


def table(which: str) -> Shapes:
    """Shapes by name as NAMES has them, of small or b."""
    return shape_tables.read(NAMES, which)


def drawn(which: str) -> dict[str, np.ndarray]:
    """Random parameters by their names, no two values alike, biases and scales too."""
    rng = np.random.default_rng(0)
    found = {}
    for name, shape in sorted(table(which).items()):
        noise = rng.standard_normal(shape, np.float32)
        if name.endswith(("/w", "/kernel")):
            # Kernels out of heads are [out, heads, head].
            axes = shape[-2:] if "/post/" in name else shape[-3:-2]
            inputs = np.prod(axes if name.endswith("/w") else shape[-2:-1])
            # Queries and keys so large that some logits are capped.
            large = 3.0 if "self_attention/query" in name or "self_attention/key" in name else 1.0
            noise *= large * inputs**-0.5
        elif name.endswith(("emb_var", "cls_emb")):
            noise *= shape[-1] ** -0.5
        else:
            noise *= 0.3
        found[name] = noise
    return found


def outputs(name: str) -> dict[str, np.ndarray]:
    """What VideoPrism computes of `inputs(name)` with the parameters of `drawn`."""
    config = CONFIGS[name]
    frames, tokens = inputs(name)
    words = np.where(tokens == config.towers.text.end, 0, tokens)[:, :-1]
    # Not of NumPy, whose arrays its LayerNorms would change in place.
    arrays = {key: jnp.asarray(value) for key, value in drawn(size_of(name)).items()}
    tree = traverse_util.unflatten_dict(arrays, sep="/")
    video, text, seen = model(config).apply(
        {"params": tree},
        frames,
        words,
        (words == 0).astype(np.float32),
        normalize=False,
        return_intermediate=True,
    )
    found = {"video_embedding": video, "text_embedding": text}
    if name != "b":
        found |= {key: seen[key] for key in ("frame_embeddings", "spatiotemporal_features")}
    return {f"{name}/{key}": np.asarray(value) for key, value in found.items()}


def size_of(name: str) -> str:
    """Which table of NAMES has the parameters."""
    return name.partition("_")[0]


def save(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """A file as VideoPrism publishes its parameters."""
    named: Any = {f"{PREFIX}{name}": value for name, value in arrays.items()}
    np.savez(path, **named)
    return path


if __name__ == "__main__":
    shape_tables.write(NAMES, COMMIT, {which: shapes(CONFIGS[which]) for which in ("small", "b")})
    golden: Any = {}
    with jax.default_matmul_precision("highest"):
        for one in FRAMES:
            golden |= outputs(one)
    np.savez_compressed(OUTPUTS, **golden)
