"""What a file says, or its tensors show, about the architecture of a CLIP -> ClipConfig."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from animclip_jax.models.clip import PIXEL_MEAN, PIXEL_STD, ClipConfig
from animclip_jax.models.transformer import LAYER_NORM_EPSILON, TransformerConfig
from animclip_jax.weights import rules

# transformers leaves out of a config.json what equals its defaults.
_TEXT_DEFAULTS = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "eos_token_id": 49407,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_VISION_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "num_channels": 3,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
# transformers takes this for the last id of the vocabulary, as old files name it.
_LEGACY_END_TOKEN = 2
# The width of an attention head, which the tensors of OpenAI's layout don't show.
_HEAD_WIDTH = 64
# OpenAI's tensors that an architecture is read from, and how many axes each has.
_TELLING = {
    "visual.conv1.weight": 4,
    "visual.positional_embedding": 2,
    "visual.transformer.resblocks.0.mlp.c_fc.weight": 2,
    "transformer.resblocks.0.mlp.c_fc.weight": 2,
    "token_embedding.weight": 2,
    "positional_embedding": 2,
    "text_projection.T": 2,
}
# The settings of open_clip that plain CLIP has; another one may change what is computed.
_OPEN_CLIP_MODEL = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}
_OPEN_CLIP_VISION = {"image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio"}
_OPEN_CLIP_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}


def from_hugging_face(config: Mapping[str, Any], source: str) -> ClipConfig:
    """The architecture in the config.json of a `CLIPModel`.

    Raises:
      ValueError: it is of another kind of model, or computes what ours can't; says all of it.
    """
    try:
        return _from_hugging_face(config, source)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{source}: not the fields of a CLIPModel: {error}") from error


def _from_hugging_face(config: Mapping[str, Any], source: str) -> ClipConfig:
    if config.get("model_type") != "clip":
        raise ValueError(
            f"{source}: model_type is {config.get('model_type')!r}, wanted 'clip', that of a whole "
            "CLIPModel"
        )
    # Old files hold a section under two names; transformers lets the other one win, defaults too.
    text, vision = (
        defaults | (config.get(f"{name}_dict") or config.get(name) or {})
        for name, defaults in (("text_config", _TEXT_DEFAULTS), ("vision_config", _VISION_DEFAULTS))
    )
    faults = [
        f"{name}.{field} is {section[field]!r}, wanted {wanted!r}"
        for name, section, field, wanted in (
            ("text_config", text, "layer_norm_eps", LAYER_NORM_EPSILON),
            ("vision_config", vision, "layer_norm_eps", LAYER_NORM_EPSILON),
            ("vision_config", vision, "num_channels", 3),
            ("vision_config", vision, "hidden_act", text["hidden_act"]),
        )
        if section[field] != wanted
    ]
    if text["eos_token_id"] not in (_LEGACY_END_TOKEN, text["vocab_size"] - 1):
        faults.append(
            f"text_config.eos_token_id is {text['eos_token_id']!r}, wanted the last id, "
            f"{text['vocab_size'] - 1}"
        )
    if faults:
        raise ValueError(f"{source}: {'; '.join(faults)}")
    try:
        return ClipConfig(
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            vision=_tower(vision),
            text=_tower(text),
            context_length=text["max_position_embeddings"],
            vocab_size=text["vocab_size"],
            embed_dim=config.get("projection_dim", 512),
            activation=text["hidden_act"],
        )
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _tower(section: Mapping[str, Any]) -> TransformerConfig:
    return TransformerConfig(
        width=section["hidden_size"],
        layers=section["num_hidden_layers"],
        heads=section["num_attention_heads"],
        mlp_width=section["intermediate_size"],
    )


def to_hugging_face(config: ClipConfig) -> dict[str, Any]:
    """The config.json of a `CLIPModel` of this architecture."""

    def section(tower: TransformerConfig) -> dict[str, Any]:
        return {
            "hidden_size": tower.width,
            "intermediate_size": tower.mlp_width,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.heads,
            "projection_dim": config.embed_dim,
            "hidden_act": config.activation,
            "layer_norm_eps": LAYER_NORM_EPSILON,
        }

    text = section(config.text) | {
        "model_type": "clip_text_model",
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "bos_token_id": config.vocab_size - 2,
        "eos_token_id": config.vocab_size - 1,
        "pad_token_id": 0,
    }
    vision = section(config.vision) | {
        "model_type": "clip_vision_model",
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "num_channels": 3,
    }
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "dtype": "float32",
        "projection_dim": config.embed_dim,
        "text_config": text,
        "vision_config": vision,
    }


def from_openai(tensors: Mapping[str, np.ndarray], activation: str, source: str) -> ClipConfig:
    """The architecture that tensors of OpenAI's layout, through `rules.unfuse_openai`, show.

    Raises:
      ValueError: tensors are missing without which it can't be told; names all that don't fit.
    """
    if any(key.startswith("visual.layer1.") for key in tensors):
        raise ValueError(f"{source}: the vision tower is a ResNet, wanted a ViT")
    layers = [
        _count(tensors, rf"{tower}transformer\.resblocks\.(\d+)\..*") for tower in (r"visual\.", "")
    ]
    for key, axes in _TELLING.items():
        if key not in tensors or tensors[key].ndim != axes:
            rules.check(tensors, _nameless(*layers), rules.Layout.OPENAI, source)
    vision_width, _, _, patch_size = tensors["visual.conv1.weight"].shape
    vocab_size, text_width = tensors["token_embedding.weight"].shape
    patches = tensors["visual.positional_embedding"].shape[0] - 1
    vision, text = (
        TransformerConfig(
            width=width,
            layers=count,
            heads=max(width // _HEAD_WIDTH, 1),
            mlp_width=tensors[f"{tower}transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        )
        for tower, width, count in zip(
            ("visual.", ""), (vision_width, text_width), layers, strict=True
        )
    )
    return ClipConfig(
        image_size=round(math.sqrt(patches)) * patch_size,
        patch_size=patch_size,
        vision=vision,
        text=text,
        context_length=tensors["positional_embedding"].shape[0],
        vocab_size=vocab_size,
        embed_dim=tensors["text_projection.T"].shape[0],
        activation=activation,
    )


def _count(tensors: Mapping[str, np.ndarray], pattern: str) -> int:
    """Layers: one more than the greatest number in a name."""
    found = [int(match[1]) for key in tensors if (match := re.fullmatch(pattern, key))]
    return max(found, default=0) + 1


def _nameless(vision_layers: int, text_layers: int) -> ClipConfig:
    """An architecture of which only the number of layers is known, to compare names with."""
    vision, text = (TransformerConfig(1, count, 1, 1) for count in (vision_layers, text_layers))
    return ClipConfig(image_size=1, patch_size=1, vision=vision, text=text)


def from_open_clip(
    tensors: Mapping[str, np.ndarray], document: Mapping[str, Any], source: str
) -> ClipConfig:
    """The architecture of tensors in OpenAI's layout with their open_clip_config.json.

    Raises:
      ValueError: as `from_openai`, or the document asks for what ours can't compute.
    """
    model = document.get("model_cfg", {})
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    unknown = [
        f"{name}.{field}"
        for name, section, known in (
            ("model_cfg", model, _OPEN_CLIP_MODEL),
            ("vision_cfg", vision, _OPEN_CLIP_VISION),
            ("text_cfg", text, _OPEN_CLIP_TEXT),
        )
        for field in section
        if field not in known
    ]
    if unknown:
        raise ValueError(f"{source}: not plain CLIP, it sets {', '.join(sorted(unknown))}")
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    config = from_openai(tensors, activation, source)
    vision_heads = max(config.vision.width // vision.get("head_width", _HEAD_WIDTH), 1)
    text_heads = text.get("heads", config.text.heads)
    return dataclasses.replace(
        config,
        vision=dataclasses.replace(config.vision, heads=vision_heads),
        text=dataclasses.replace(config.text, heads=text_heads),
    )


def check_pixels(mean: Sequence[float], std: Sequence[float], source: str) -> None:
    """Raises ValueError for pixel statistics other than those the model applies, OpenAI's."""
    if not np.allclose([*mean, *std], [*PIXEL_MEAN, *PIXEL_STD], rtol=0, atol=1e-6):
        raise ValueError(
            f"{source}: pixels are normalised with mean {list(mean)} and std {list(std)}, wanted "
            f"OpenAI's, {list(PIXEL_MEAN)} and {list(PIXEL_STD)}, which the model applies"
        )
