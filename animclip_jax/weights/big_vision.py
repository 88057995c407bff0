"""SigLIP and SigLIP 2 as big_vision keeps them: one .npz, names joined by slashes.

Kernels are [in, out] there, those of attention [in, heads, head] and [heads, head, out]. The layers
of a tower are apart (`encoderblock_0`) or stacked (`encoderblock`); both are read, also in one
file. Published files have `params/` before every name, or nothing; those of a training have the
optimizer's arrays beside.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from animclip_jax import files
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import SIGLIP
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import npz_file, rules
from animclip_jax.weights.architecture import SIGLIP_TOKENIZERS
from animclip_jax.weights.deferred import Array, Deferred
from animclip_jax.weights.rules import Kind, Layout

FILE = "model.npz"
PREFIX = "params/"
# What may stand before the names of all parameters; the first that is there.
_PREFIXES = (PREFIX, "opt/target/", "")
# In order: Hugging Face's names -> big_vision's.
_RENAMED = (
    (r"^logit_scale$", "t"),
    (r"^logit_bias$", "b"),
    (r"^vision_model\.encoder\.layers\.(\d+)\.", r"img/Transformer/encoderblock_\1/"),
    (r"^text_model\.encoder\.layers\.(\d+)\.", r"txt/Encoder_0/encoderblock_\1/"),
    (r"^vision_model\.post_layernorm\.", "img/Transformer/encoder_norm/"),
    (r"^text_model\.final_layer_norm\.", "txt/Encoder_0/encoder_norm/"),
    (r"^vision_model\.head\.", "img/MAPHead_0/"),
    (r"^vision_model\.embeddings\.patch_embedding\.", "img/embedding/"),
    (r"^text_model\.head\.", "txt/head/"),
    (r"^text_model\.embeddings\.token_embedding\.weight", "txt/Embed_0/embedding"),
    (r"^vision_model\.embeddings\.position_embedding\.weight", "img/pos_embedding"),
    (r"^text_model\.embeddings\.position_embedding\.weight", "txt/pos_embedding"),
    (r"(?:self_attn|attention)\.", "MultiHeadDotProductAttention_0/"),
    (r"in_proj_(weight|bias)\[q\]", r"query/\1"),
    (r"in_proj_(weight|bias)\[k\]", r"key/\1"),
    (r"in_proj_(weight|bias)\[v\]", r"value/\1"),
    (r"q_proj\.", "query/"),
    (r"k_proj\.", "key/"),
    (r"v_proj\.", "value/"),
    (r"out_proj\.", "out/"),
    (r"layer_norm1\.|layernorm\.", "LayerNorm_0/"),
    (r"layer_norm2\.", "LayerNorm_1/"),
    (r"mlp\.fc1\.", "MlpBlock_0/Dense_0/"),
    (r"mlp\.fc2\.", "MlpBlock_0/Dense_1/"),
    (r"(norm|LayerNorm_\d)/weight$", r"\1/scale"),
    (r"/weight$", "/kernel"),
)
_STACKED = "/encoderblock/"
_POSITIONS, _HEAD = ("img/pos_embedding", "txt/pos_embedding"), "txt/head/"
_ATTENTION = "MultiHeadDotProductAttention_0/"


class _Place(NamedTuple):
    """A tensor by both names, with its shape there and here."""

    hugging_face: str
    name: str
    shape: tuple[int, ...]
    their_shape: tuple[int, ...]
    kind: Kind


def read(path: Path) -> tuple[dict[str, Deferred], ClipConfig]:
    """The parameters of `Clip` by slash-joined path, float32, and the architecture.

    A caption's features without a projection, as of the multilingual So400m, have an identity.

    Raises:
      FileNotFoundError, ValueError: it is no .npz of a SigLIP, or holds a pickle; names the file,
        and all arrays that don't fit at once.
    """
    arrays = dict(_apart(_parameters(npz_file.read(path))))
    arrays |= _identity(arrays)
    config = _architecture(arrays, path)
    places = list(_places(config))
    found = {name: value.shape for name, value in arrays.items()}
    faults = parameters.differences(found, {place.name: place.their_shape for place in places})
    if faults:
        listed = "\n  ".join(faults)
        raise ValueError(f"{path}: these arrays don't fit a SigLIP of this size:\n  {listed}")
    tensors = {place.hugging_face: _to_hugging_face(place, arrays[place.name]) for place in places}
    return rules.to_ours(tensors, config, Layout.HUGGING_FACE, str(path)), config


def save(directory: Path, params: Mapping[str, Array], config: ClipConfig) -> None:
    """Writes a new folder with the .npz, layers apart; whole or not at all.

    Raises:
      ValueError: the towers are not SigLIP's. FileExistsError: the folder is there already.
    """
    require_siglip(config)
    parts = rules.to_parts(params, config, Layout.HUGGING_FACE)
    with files.new_folder(directory) as temporary:
        path = temporary / FILE
        with files.writing(path), zipfile.ZipFile(path, "w") as archive:
            for place in _places(config):
                value = _to_theirs(place, parts[place.hugging_face])
                with archive.open(f"{PREFIX}{place.name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, value, allow_pickle=False)


def require_siglip(config: ClipConfig) -> None:
    """Raises ValueError, with all reasons, for towers that big_vision's SigLIP does not compute."""
    if config.towers.video.frames:
        raise ValueError(
            "big_vision's SigLIP takes pictures, and VideoPrism's towers whole videos: convert to "
            "animclip"
        )
    wanted = dataclasses.replace(
        SIGLIP, tokenizer=config.towers.tokenizer, pixels=config.towers.pixels
    )
    faults = [
        f"{field.name} is {getattr(config.towers, field.name)}"
        for field in dataclasses.fields(wanted)
        if getattr(config.towers, field.name) != getattr(wanted, field.name)
    ]
    if config.activation != "gelu_tanh":
        faults.append(f"activation is {config.activation}")
    if faults:
        raise ValueError(f"big_vision's SigLIP does not compute these towers: {'; '.join(faults)}")


def _parameters(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Without what stands before their names, and without what is no parameter."""
    for prefix in _PREFIXES:
        if found := {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }:
            return found
    return {}


def _apart(arrays: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """Layers that are stacked, each by its number."""

    def layer(stacked: Array, number: int) -> np.ndarray:
        return np.asarray(stacked)[number]

    for name, value in arrays.items():
        if _STACKED not in name or not value.ndim:
            yield name, value
            continue
        for number in range(value.shape[0]):
            make = functools.partial(layer, value, number)
            apart = name.replace(_STACKED, f"/encoderblock_{number}/")
            yield apart, Deferred(value.shape[1:], value.dtype, make)


def _identity(arrays: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """The projection of captions where there is none, and their width is that of the pictures'."""
    width = [arrays[name].shape[-1:] for name in _POSITIONS if name in arrays]
    if len(width) < 2 or width[0] != width[1] or any(name.startswith(_HEAD) for name in arrays):
        return {}
    (size,) = width[0]
    return {f"{_HEAD}kernel": np.eye(size, dtype=np.float32), f"{_HEAD}bias": np.zeros(size)}


def _architecture(arrays: Mapping[str, Array], path: Path) -> ClipConfig:
    block = f"encoderblock_0/{_ATTENTION}query/kernel"
    telling = {
        "img/embedding/kernel": 4,
        "img/pos_embedding": 3,
        f"img/Transformer/{block}": 3,
        "img/Transformer/encoderblock_0/MlpBlock_0/Dense_0/kernel": 2,
        "img/MAPHead_0/MlpBlock_0/Dense_0/kernel": 2,
        "txt/Embed_0/embedding": 2,
        "txt/pos_embedding": 3,
        f"txt/Encoder_0/{block}": 3,
        "txt/Encoder_0/encoderblock_0/MlpBlock_0/Dense_0/kernel": 2,
        "txt/head/kernel": 2,
        "b": 1,
    }
    if faults := [
        f"{name} ({axes} axes)"
        for name, axes in telling.items()
        if name not in arrays or arrays[name].ndim != axes
    ]:
        raise ValueError(
            f"{path}: no SigLIP of big_vision, which has {', '.join(faults)}, under {PREFIX}"
        )
    try:
        vision, text = (
            TransformerConfig(
                width=arrays[f"{tower}/{block}"].shape[0],
                layers=len(
                    {m[1] for n in arrays if (m := re.match(rf"{tower}/encoderblock_(\d+)/", n))}
                ),
                heads=arrays[f"{tower}/{block}"].shape[1],
                mlp_width=arrays[f"{tower}/encoderblock_0/MlpBlock_0/Dense_0/kernel"].shape[1],
            )
            for tower in ("img/Transformer", "txt/Encoder_0")
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    patch_size = arrays["img/embedding/kernel"].shape[0]
    vocab_size = arrays["txt/Embed_0/embedding"].shape[0]
    pool_mlp = arrays["img/MAPHead_0/MlpBlock_0/Dense_0/kernel"].shape[1]
    tower = dataclasses.replace(
        SIGLIP.vision, pool_mlp_width=0 if pool_mlp == vision.mlp_width else pool_mlp
    )
    family = dataclasses.replace(
        SIGLIP, vision=tower, tokenizer=SIGLIP_TOKENIZERS.get(vocab_size, SIGLIP.tokenizer)
    )
    try:
        return ClipConfig(
            image_size=round(arrays["img/pos_embedding"].shape[1] ** 0.5) * patch_size,
            patch_size=patch_size,
            vision=vision,
            text=text,
            context_length=arrays["txt/pos_embedding"].shape[1],
            vocab_size=vocab_size,
            embed_dim=arrays["txt/head/kernel"].shape[1],
            activation="gelu_tanh",
            towers=family,
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _places(config: ClipConfig) -> Iterator[_Place]:
    for entry in rules.entries(config, Layout.HUGGING_FACE):
        heads = (config.text if entry.ours.startswith("text/") else config.vision).heads
        for key in (key for keys in entry.keys for key in keys):
            name = key
            for pattern, new in _RENAMED:
                name = re.sub(pattern, new, name)
            shape = _their_shape(name, entry.shape, entry.kind, heads)
            yield _Place(key, name, entry.shape, shape, entry.kind)


def _their_shape(name: str, shape: tuple[int, ...], kind: Kind, heads: int) -> tuple[int, ...]:
    if kind is Kind.CONV:
        out, channels, rows, columns = shape
        return rows, columns, channels, out
    if name.endswith("/pos_embedding"):
        return (1, *shape)
    turned = shape[::-1] if kind is Kind.LINEAR else shape
    if _ATTENTION not in name or name.endswith("/out/bias"):
        return turned
    if "/out/" in name:
        return (heads, turned[0] // heads, turned[1])
    return (*turned[:-1], heads, turned[-1] // heads)


def _to_hugging_face(place: _Place, given: Array) -> Deferred:
    def make() -> np.ndarray:
        value = np.asarray(given)
        if place.kind is Kind.CONV:
            return value.transpose(3, 2, 0, 1)
        if place.kind is Kind.LINEAR:
            return value.reshape(place.shape[::-1]).T
        return value.reshape(place.shape)

    return Deferred(place.shape, given.dtype, make)


def _to_theirs(place: _Place, value: np.ndarray) -> np.ndarray:
    if place.kind is Kind.CONV:
        value = value.transpose(2, 3, 1, 0)
    elif place.kind is Kind.LINEAR:
        value = value.T
    return np.ascontiguousarray(value).reshape(place.their_shape)
