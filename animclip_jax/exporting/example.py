"""Real inputs, what the live model makes of them, and how an export is held against that."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.exported import make_encoder
from animclip_jax.models.retriever import RetrieverConfig, TextFeatures, VideoFeatures
from animclip_jax.models.video_code import INT8_MAX, PackedCode, pack, unpack
from input_pipeline.drawn.captions import captions
from input_pipeline.drawn.raster import video
from input_pipeline.drawn.scene import scene
from input_pipeline.tokenizer import Tokenizer
from input_pipeline.video import fit, positions

ITEMS = 2
# What the largest difference may be, over the largest value of the array.
TOLERANCE = {"float32": 1e-5, "bfloat16": 2.0**-7}
# How a stored code is called outside; the scales are there where it is int8.
CODE = ("video_code", "video_code_scales")

Arrays = dict[str, np.ndarray]


def inputs(config: RetrieverConfig) -> Arrays:
    """Videos and captions of the embedded world.

    Returns:
      frames uint8 [ITEMS, T, H, W, 3], tokens int32 [ITEMS, L].
    """
    scenes = [scene("val", index) for index in range(ITEMS)]
    size, clips = config.clip.image_size, []
    for drawn in map(video, scenes):
        wanted = positions(config.num_frames, len(drawn))
        clips.append(np.stack([fit(drawn[number], size) for number in wanted]))
    tokenizer = Tokenizer(config.clip.context_length, config.clip.vocab_size)
    return {"frames": np.stack(clips), "tokens": tokenizer([captions(at, 1)[0] for at in scenes])}


def outputs(params: Arrays, config: RetrieverConfig, given: Arrays) -> Arrays:
    """All that the live model makes of its inputs, by the names that exports have for it.

    `scores` are of each caption with the video of its own row; `unrounded_code` is the video code
    before it is stored in `config.reranker.code_dtype`.
    """
    unrounded = dataclasses.replace(config.reranker, code_dtype="float32")
    live = make_encoder(
        params, dataclasses.replace(config, reranker=unrounded), jax.local_devices()[:1]
    )
    text = live.encode_text(given["tokens"])
    video = live.encode_video(given["frames"], ITEMS)
    packed = jax.device_get(pack(unpack(video.code, jnp.float32), config.reranker.code_dtype))
    scores = live.fused_scores(text, video._replace(code=packed), None, None)
    found = text_arrays(text) | video_arrays(video._replace(code=packed))
    unrounded_code, _ = video.code
    return found | {"scores": np.asarray(scores), "unrounded_code": np.asarray(unrounded_code)}


def text_arrays(text: TextFeatures) -> Arrays:
    """Captions' features by the names that exports have for them."""
    return {
        "text_embedding": np.asarray(text.embedding),
        "text_hidden": np.asarray(text.hidden),
        "text_mask": np.asarray(text.mask),
    }


def video_arrays(video: VideoFeatures) -> Arrays:
    """Videos' features as they are stored, by the names that exports have for them."""
    values, scales = video.code
    arrays = {"video_embedding": np.asarray(video.embedding), "video_code": np.asarray(values)}
    return arrays if scales is None else arrays | {"video_code_scales": np.asarray(scales)}


def compare(found: Arrays, wanted: Arrays, config: RetrieverConfig) -> None:
    """Raises ValueError where an export's outputs are not those of the live model.

    Args:
      found: any of the arrays of `outputs`. wanted: all of them.
    """
    tolerance = TOLERANCE[config.clip.dtype]
    for name, value in found.items():
        other = wanted[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            raise ValueError(
                f"the export is not the model: {name} is {value.dtype} {value.shape}, wanted "
                f"{other.dtype} {other.shape}"
            )
        if name in CODE:
            continue
        allowed = tolerance * np.max(np.abs(other.astype(np.float32)))
        _require_near(name, value.astype(np.float32) - other.astype(np.float32), allowed)
    if "video_code" in found:
        # Two programs round a value between two steps to either, so stored codes aren't compared
        # with each other: each must be the unrounded one to the nearest of its own steps.
        values, scales = (jnp.asarray(found[name]) if name in found else None for name in CODE)
        assert values is not None
        exact = wanted["unrounded_code"].astype(np.float32)
        step = {"int8": 1 / INT8_MAX, "bfloat16": 2.0**-8, "float32": 0.0}
        share = step[config.reranker.code_dtype] / 2 + tolerance
        allowed = share * np.max(np.abs(exact), axis=-1, keepdims=True)
        _require_near(
            "video_code",
            np.asarray(unpack(PackedCode(values, scales), jnp.float32)) - exact,
            allowed,
        )


def _require_near(name: str, difference: np.ndarray, allowed: np.ndarray | float) -> None:
    if not np.all(np.abs(difference) <= allowed):  # Nor is NaN.
        raise ValueError(
            f"the export is not the model: {name} differs by {np.max(np.abs(difference)):.1e}, "
            f"allowed are {np.max(allowed):.1e}"
        )
