"""VideoPrism's video-text encoders (LvT) as they are published: one .npz, layers stacked.

Names are those of the modules in github.com/google-deepmind/videoprism, joined by slashes, with
`params/` before them. LayerNorms keep their scale minus one there; kernels out of heads are
[out, heads, head], ours [heads, head, out].
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animclip_jax import files
from animclip_jax.models import parameters
from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.towers import VIDEOPRISM
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import npz_file
from animclip_jax.weights.deferred import Array, Deferred

PREFIX = "params/"
# The file has no temperature; the scale of the authors' own demonstration is 1 / 0.01.
LOGIT_SCALE = 100.0
# Our stacks of layers and theirs.
_STACKS = {
    "vision/transformer": "vision_encoder/spatial_encoder/transformers_stack",
    "vision/temporal": "vision_encoder/temporal_encoder/transformers_stack",
    "vision/auxiliary": "auxiliary_encoder/transformers_stack",
    "text/transformer": "text_encoder/unimodal_transformer",
}
_PATCHES, _WORDS = "vision_encoder/patch_projection/linear", "text_encoder/token_emb/emb_var"
_PLACES, _TIMES = (f"vision_encoder/{kind}_pos_emb/emb_var" for kind in ("spatial", "temporal"))
_POOL = "contrastive_vision_pooler/pooling_attention"


class _Rule(NamedTuple):
    """A parameter of ours, the arrays it is made of, and how; the shape follows from ours."""

    ours: str
    theirs: tuple[str, ...]
    make: Callable[..., np.ndarray]


def is_in(path: Path) -> bool:
    """Whether an .npz names a video encoder of VideoPrism; raises as `npz_file.read`."""
    with files.unpacking(path) as archive:
        return any("spatial_encoder/" in name for name in archive.namelist())


def read(path: Path) -> tuple[dict[str, Deferred], ClipConfig]:
    """The parameters of `Clip` by slash-joined path, float32, and the architecture.

    Raises:
      FileNotFoundError, ValueError: it is no .npz of VideoPrism's video-text encoders, or holds a
        pickle; names the file, and all arrays that don't fit at once.
    """
    arrays = {name.removeprefix(PREFIX): value for name, value in npz_file.read(path).items()}
    config = _architecture(arrays, path)
    found = {name: tuple(value.shape) for name, value in arrays.items()}
    if faults := parameters.differences(found, shapes(config)):
        listed = "\n  ".join(faults)
        raise ValueError(f"{path}: these arrays don't fit a VideoPrism of this size:\n  {listed}")
    ours = parameters.shapes(config)

    def made(rule: _Rule) -> np.ndarray:
        parts = [np.asarray(arrays[name], np.float32) for name in rule.theirs]
        return np.ascontiguousarray(rule.make(*parts)).reshape(ours[rule.ours])

    float32 = np.dtype(np.float32)
    params = {
        rule.ours: Deferred(ours[rule.ours], float32, functools.partial(made, rule))
        for rule in _rules()
    }
    scale = np.array(math.log(LOGIT_SCALE), np.float32)
    return params | {"log_logit_scale": Deferred((), float32, lambda: scale)}, config


def shapes(config: ClipConfig) -> dict[str, tuple[int, ...]]:
    """Of the arrays of a file of that architecture, by name without PREFIX."""
    width, heads, video = config.vision.width, config.vision.heads, config.towers.video
    found = {
        f"{_PATCHES}/kernel": (3 * config.patch_size**2, width),
        f"{_PATCHES}/bias": (width,),
        _PLACES: (config.grid**2, width),
        _TIMES: (video.frames, width),
        _WORDS: (config.vocab_size, width),
        "text_encoder/cls_emb": (1, 1, width),
        f"{_POOL}_query": (1, width),
        f"{_POOL}/per_dim_scale/per_dim_scale": (4 * width // heads,),
    }
    found |= _attention_shapes(_POOL, (), width, heads, 4 * width // heads)
    for norm in (
        *("vision_encoder/spatial_ln", "vision_encoder/temporal_ln", f"{_POOL}_layer_norm"),
        "text_encoder/unimodal_ln",
    ):
        found |= {f"{norm}/scale": (width,), f"{norm}/bias": (width,)}
    stacks = (
        (config.vision.layers, config.vision),
        (video.temporal_layers, config.vision),
        (video.auxiliary_layers, config.vision),
        (config.text.layers, config.text),
    )
    for stack, (layers, sizes) in zip(_STACKS.values(), stacks, strict=True):
        block, hidden = f"{stack}/x_layers", sizes.mlp_width
        found |= _attention_shapes(
            f"{block}/self_attention", (layers,), width, sizes.heads, width // sizes.heads
        )
        for norm in (f"{block}/layer_norm", f"{block}/ff_layer/layer_norm"):
            found |= {f"{norm}/scale": (layers, width), f"{norm}/bias": (layers, width)}
        for number, (inputs, outputs) in enumerate(((width, hidden), (hidden, width)), start=1):
            linear = f"{block}/ff_layer/ffn_layer{number}/linear"
            found |= {f"{linear}/kernel": (layers, inputs, outputs)}
            found |= {f"{linear}/bias": (layers, outputs)}
    return found


def _attention_shapes(
    name: str, layers: tuple[int, ...], width: int, heads: int, head: int
) -> dict[str, tuple[int, ...]]:
    found = {f"{name}/post/b": (*layers, width)}
    for part in ("query", "key", "value", "post"):
        found[f"{name}/{part}/w"] = (*layers, width, heads, head)
    for part in ("query", "key", "value"):
        found[f"{name}/{part}/b"] = (*layers, heads, head)
    return found


def _rules() -> Iterator[_Rule]:
    """Of all parameters except the temperature."""
    for ours, theirs in _STACKS.items():
        block, layer = f"{theirs}/x_layers", f"{ours}/blocks/layers"
        yield from _norm(f"{layer}/norm_1", f"{block}/layer_norm")
        yield from _attention(f"{layer}/attention", f"{block}/self_attention")
        yield from _norm(f"{layer}/norm_2", f"{block}/ff_layer/layer_norm")
        yield from _linear(f"{layer}/mlp/up", f"{block}/ff_layer/ffn_layer1/linear")
        yield from _linear(f"{layer}/mlp/down", f"{block}/ff_layer/ffn_layer2/linear")
    yield from _linear("vision/patch_embedding", _PATCHES)
    yield from _norm("vision/norm_spatial", "vision_encoder/spatial_ln")
    yield from _norm("vision/norm_temporal", "vision_encoder/temporal_ln")
    yield from _attention("vision/pool", _POOL)
    yield from _norm("vision/pool/norm", f"{_POOL}_layer_norm")
    yield from _norm("text/norm_final", "text_encoder/unimodal_ln")
    for ours, theirs in (
        ("vision/position_embedding", _PLACES),
        ("vision/time_embedding", _TIMES),
        ("vision/pool/probe", f"{_POOL}_query"),
        ("vision/pool/scale", f"{_POOL}/per_dim_scale/per_dim_scale"),
        ("text/token_embedding/embedding", _WORDS),
        ("text/class_embedding", "text_encoder/cls_emb"),
    ):
        yield _Rule(ours, (theirs,), _same)


def _norm(ours: str, theirs: str) -> Iterator[_Rule]:
    yield _Rule(f"{ours}/scale", (f"{theirs}/scale",), lambda offset: 1 + offset)
    yield _Rule(f"{ours}/bias", (f"{theirs}/bias",), _same)


def _linear(ours: str, theirs: str) -> Iterator[_Rule]:
    for part in ("kernel", "bias"):
        yield _Rule(f"{ours}/{part}", (f"{theirs}/{part}",), _same)


def _attention(ours: str, theirs: str) -> Iterator[_Rule]:
    yield _Rule(f"{ours}/query/kernel", (f"{theirs}/query/w",), _same)
    yield _Rule(f"{ours}/query/bias", (f"{theirs}/query/b",), _same)
    for part, letter in (("kernel", "w"), ("bias", "b")):
        both = f"{theirs}/key/{letter}", f"{theirs}/value/{letter}"
        yield _Rule(f"{ours}/key_value/{part}", both, _before_heads)
    yield _Rule(f"{ours}/out/kernel", (f"{theirs}/post/w",), lambda x: np.moveaxis(x, -3, -1))
    yield _Rule(f"{ours}/out/bias", (f"{theirs}/post/b",), _same)


def _same(value: np.ndarray) -> np.ndarray:
    return value


def _before_heads(key: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.stack([key, value], axis=-3)


def _architecture(arrays: Mapping[str, Array], path: Path) -> ClipConfig:
    blocks = [f"{stack}/x_layers" for stack in _STACKS.values()]
    telling = {f"{block}/self_attention/query/w": 4 for block in blocks}
    telling |= {f"{block}/ff_layer/ffn_layer1/linear/kernel": 3 for block in (blocks[0], blocks[3])}
    telling |= {f"{_PATCHES}/kernel": 2, _PLACES: 2, _TIMES: 2, _WORDS: 2}
    if faults := [
        f"{name} ({axes} axes)"
        for name, axes in telling.items()
        if name not in arrays or arrays[name].ndim != axes
    ]:
        raise ValueError(
            f"{path}: no video-text encoders of VideoPrism (LvT), which have {', '.join(faults)}, "
            f"under {PREFIX}; its video encoders alone read no captions"
        )
    attention = [arrays[f"{block}/self_attention/query/w"].shape for block in blocks]
    try:
        vision, text = (
            TransformerConfig(
                width=attention[number][1],
                layers=attention[number][0],
                heads=attention[number][2],
                mlp_width=arrays[f"{blocks[number]}/ff_layer/ffn_layer1/linear/kernel"].shape[2],
            )
            for number in (0, 3)
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    video = dataclasses.replace(
        VIDEOPRISM.video,
        frames=arrays[_TIMES].shape[0],
        temporal_layers=attention[1][0],
        auxiliary_layers=attention[2][0],
    )
    patch_size = round(math.sqrt(arrays[f"{_PATCHES}/kernel"].shape[0] / 3))
    try:
        return ClipConfig(
            image_size=round(math.sqrt(arrays[_PLACES].shape[0])) * patch_size,
            patch_size=patch_size,
            vision=vision,
            text=text,
            context_length=65,  # 64 words and the end, beside sines of any length
            vocab_size=arrays[_WORDS].shape[0],
            embed_dim=vision.width,
            activation="gelu",
            towers=dataclasses.replace(VIDEOPRISM, video=video),
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
