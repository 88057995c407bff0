"""Real inputs, what the live model makes of them, and how an export is held against that."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.api import make_encoder
from animclip_jax.exporting.functions import VIDEO, Loaded, Named, named_text, named_video
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.models.video_code import INT8_MAX, PackedCode, pack, unpack
from animclip_jax.weights import manifest
from input_pipeline.drawn import raster
from input_pipeline.drawn.captions import captions
from input_pipeline.drawn.scene import scene
from input_pipeline.media.picture import fit
from input_pipeline.media.timing import positions
from input_pipeline.tokenizers.opening import open_tokenizer

# Inputs and outputs in an export, for its readers to hold themselves against.
FILE = manifest.EXAMPLE
ITEMS = 2
# What the largest difference may be, over the largest value of the array.
TOLERANCE = {"float32": 1e-5, "bfloat16": 2.0**-7}
CODE = VIDEO[1:]
# What no export gives, and what it is held against needs: the video code before it is stored, and
# what cosines are multiplied by in scores.
UNROUNDED, LOGIT_SCALE = "unrounded_code", "logit_scale"


def inputs(config: RetrieverConfig, items: int) -> Named:
    """Videos and captions of the drawn world, of which no two are siblings.

    Returns:
      frames uint8 [B, T, H, W, 3], tokens int32 [B, L], B = items.
    """
    # Siblings are scenes 2i and 2i + 1, and an untrained model hardly tells them apart.
    scenes = [scene("val", 2 * number) for number in range(items)]
    clips = []
    for drawn in map(raster.video, scenes):
        wanted = positions(config.num_frames, len(drawn))
        clips.append(np.stack([fit(drawn[number], *config.clip.fitted) for number in wanted]))
    tokenizer = open_tokenizer(*config.clip.reading)
    return {"frames": np.stack(clips), "tokens": tokenizer([captions(at, 1)[0] for at in scenes])}


def outputs(params: Named, config: RetrieverConfig, given: Named) -> Named:
    """All that the live model makes of its inputs, by the names that exports have for it.

    `scores` are of each caption with the video of its own row.
    """
    unrounded = dataclasses.replace(config.reranker, code_dtype="float32")
    device = jax.local_devices()[:1]
    # From the device, so that layers are scanned as in an export: bfloat16 rounds as it is fused.
    live = make_encoder(
        jax.device_put(dict(params), device[0]),
        dataclasses.replace(config, reranker=unrounded),
        device,
    )
    text = live.encode_text(given["tokens"])
    video = live.encode_video(given["frames"], len(given["frames"]))
    packed = jax.device_get(pack(unpack(video.code, jnp.float32), config.reranker.code_dtype))
    scores = live.fused_scores(text, video._replace(code=packed), None, None)
    found = named_text(text) | named_video(video._replace(code=packed))
    unrounded_code, _ = video.code
    found |= {"scores": scores, LOGIT_SCALE: live.logit_scale, UNROUNDED: unrounded_code}
    return {name: np.asarray(value) for name, value in found.items()}


def check(loaded: Loaded, arrays: Named, config: RetrieverConfig) -> None:
    """Holds each function of an export against the live model.

    Args:
      arrays: of `inputs` and `outputs`.

    Raises:
      ValueError: an output is not the live model's; says which and by how much.
    """
    for name, function in loaded.items():
        try:
            compare(function(arrays), arrays, config)
        except ValueError as error:
            raise ValueError(f"{name} is not the live model's: {error}") from error


def compare(found: Named, wanted: Named, config: RetrieverConfig) -> None:
    """Raises ValueError where arrays are not those wanted, or further off than rounding takes them.

    Args:
      found: any of the arrays of `outputs`. wanted: all of them.
    """
    tolerance = TOLERANCE[config.clip.dtype]
    for name, value in found.items():
        other = wanted[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            raise ValueError(
                f"{name} is {value.dtype} {value.shape}, wanted {other.dtype} {other.shape}"
            )
        if name in CODE:
            continue
        largest = np.max(np.abs(other.astype(np.float32)))
        if name == "scores":
            # Sums of terms that may be larger than they are.
            largest = max(largest, wanted[LOGIT_SCALE])
        allowed = tolerance * largest
        _require_near(name, value.astype(np.float32) - other.astype(np.float32), allowed)
    if "video_code" in found:
        # Two programs round a value between two steps to either, so stored codes aren't compared
        # with each other: each must be the unrounded one to the nearest of its own steps.
        values, scales = (jnp.asarray(found[name]) if name in found else None for name in CODE)
        assert values is not None
        exact = wanted[UNROUNDED].astype(np.float32)
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
            f"{name} differs by {np.max(np.abs(difference)):.1e}, allowed are {np.max(allowed):.1e}"
        )
