"""Hugging Face's config.json of a `CLIPModel` or a `SiglipModel` <-> the architecture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import CLIP, SIGLIP, Pixels, Towers
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights.architecture import SIGLIP_TOKENIZERS

_BASE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
# transformers leaves out of a config.json what equals its defaults.
_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "clip": {
        "text_config": {
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 8,
            "vocab_size": 49408,
            "max_position_embeddings": 77,
            "eos_token_id": 49407,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
        },
        "vision_config": {
            **_BASE,
            "image_size": 224,
            "patch_size": 32,
            "num_channels": 3,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
        },
    },
    "siglip": {
        "text_config": {
            **_BASE,
            "vocab_size": 32000,
            "max_position_embeddings": 64,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
        "vision_config": {
            **_BASE,
            "image_size": 224,
            "patch_size": 16,
            "num_channels": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
    },
}
# transformers takes this for the last id of the vocabulary, as old files name it.
_LEGACY_END_TOKEN = 2
_ACTIVATIONS = {"gelu_pytorch_tanh": "gelu_tanh"}
# transformers' tokenizers that read SigLIP 2's vocabulary.
_GEMMA = ("Siglip2Tokenizer", "GemmaTokenizer", "GemmaTokenizerFast")
# Pillow's numbers.
_RESAMPLE = {2: towers.BILINEAR, 3: towers.BICUBIC}


def read(config: Mapping[str, Any], source: str) -> ClipConfig:
    """The architecture in the config.json of a `CLIPModel` or a `SiglipModel`.

    Raises:
      ValueError: it is of another kind of model, or computes what ours can't; says all of it.
    """
    kind = config.get("model_type")
    if kind not in [*_DEFAULTS]:  # which may be of any type
        raise ValueError(
            f"{source}: model_type is {kind!r}, wanted 'clip' or 'siglip', that of a whole "
            "CLIPModel or SiglipModel"
        )
    try:
        return _read(config, kind, source)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{source}: not the fields of a CLIPModel or SiglipModel: {error}"
        ) from error


def _read(config: Mapping[str, Any], kind: str, source: str) -> ClipConfig:
    embed_dim: Any
    family = {"clip": CLIP, "siglip": SIGLIP}[kind]
    # Old files hold a section under two names; transformers lets the other one win, defaults too.
    text, vision = (
        defaults | (config.get(f"{name}_dict") or config.get(name) or {})
        for name, defaults in _DEFAULTS[kind].items()
    )
    if faults := [*_faults(text, vision, family)]:
        raise ValueError(f"{source}: {'; '.join(faults)}")
    if kind == "siglip":
        tokenizer = SIGLIP_TOKENIZERS.get(text["vocab_size"], family.tokenizer)
        family = dataclasses.replace(family, tokenizer=tokenizer)
        embed_dim = text.get("projection_size", text["hidden_size"])
    else:
        embed_dim = config.get("projection_dim", 512)
    activation: Any = text["hidden_act"]
    # So400m/14 is said to read 384 pixels; its patches cover 378 of them.
    unread = vision["image_size"] % (vision["patch_size"] or 1) if kind == "siglip" else 0
    try:
        return ClipConfig(
            image_size=vision["image_size"] - unread,
            patch_size=vision["patch_size"],
            vision=_tower(vision),
            text=_tower(text),
            context_length=text["max_position_embeddings"],
            vocab_size=text["vocab_size"],
            embed_dim=embed_dim,
            activation=_ACTIVATIONS.get(activation, activation),
            towers=family,
        )
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _faults(text: Mapping[str, Any], vision: Mapping[str, Any], family: Towers) -> list[str]:
    faults = [
        f"{name}.{field} is {section[field]!r}, wanted {wanted!r}"
        for name, section, field, wanted in (
            ("text_config", text, "layer_norm_eps", family.norm_epsilon),
            ("vision_config", vision, "layer_norm_eps", family.norm_epsilon),
            ("vision_config", vision, "num_channels", 3),
            ("vision_config", vision, "hidden_act", text["hidden_act"]),
        )
        if section[field] != wanted
    ]
    if not vision.get("vision_use_head", True):
        faults.append("vision_config.vision_use_head is False, wanted True")
    last = text["vocab_size"] - 1
    if family == CLIP and text["eos_token_id"] not in (_LEGACY_END_TOKEN, last):
        faults.append(
            f"text_config.eos_token_id is {text['eos_token_id']!r}, wanted the last id, {last}"
        )
    return faults


def _tower(section: Mapping[str, Any]) -> TransformerConfig:
    return TransformerConfig(
        width=section["hidden_size"],
        layers=section["num_hidden_layers"],
        heads=section["num_attention_heads"],
        mlp_width=section["intermediate_size"],
    )


def read_pixels(document: Mapping[str, Any], usual: Pixels, source: str) -> Pixels:
    """What the settings of an image processor say; what it leaves out is as usual.

    Raises:
      ValueError: it resizes as ours can't, or its statistics are no numbers.
    """
    resample = document.get("resample")
    size = document.get("size")
    resize = usual.resize
    if isinstance(size, Mapping):
        resize = towers.SHORTEST if "shortest_edge" in size else towers.SQUASH
    if resample is not None and resample not in [*_RESAMPLE]:
        raise ValueError(
            f"{source}: resample is {resample!r}, wanted 2 (bilinear) or 3 (bicubic), as Pillow "
            "numbers them"
        )
    try:
        return Pixels(
            document.get("image_mean", usual.mean),
            document.get("image_std", usual.std),
            resize,
            usual.interpolation if resample is None else _RESAMPLE[resample],
        )
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def read_tokenizer(document: Mapping[str, Any], family: Towers) -> Towers:
    """The family with the tokens of SigLIP 2, where a tokenizer_config.json names these."""
    if family.text.pool == towers.LAST and document.get("tokenizer_class") in _GEMMA:
        return dataclasses.replace(family, tokenizer="gemma")
    return family


def write(config: ClipConfig) -> dict[str, Any]:
    """The config.json of a `CLIPModel`, or of a `SiglipModel`, of this architecture.

    Raises:
      ValueError: neither of them computes it.
    """
    kind = model_type(config)
    act = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}.get(config.activation)

    def section(tower: TransformerConfig) -> dict[str, Any]:
        return {
            "hidden_size": tower.width,
            "intermediate_size": tower.mlp_width,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.heads,
            "projection_dim": config.embed_dim,
            "hidden_act": act or config.activation,
            "layer_norm_eps": config.towers.norm_epsilon,
        }

    text = section(config.text) | {
        "model_type": f"{kind}_text_model",
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
    }
    if kind == "clip":
        text |= {
            "bos_token_id": config.vocab_size - 2,
            "eos_token_id": config.vocab_size - 1,
            "pad_token_id": 0,
        }
    else:
        text |= {"projection_size": config.embed_dim, "eos_token_id": config.towers.text.end}
        text |= {"bos_token_id": None, "pad_token_id": None}  # CLIP's by default
    vision = section(config.vision) | {
        "model_type": f"{kind}_vision_model",
        "image_size": config.image_size,
        "patch_size": config.patch_size,
        "num_channels": 3,
    }
    return {
        "architectures": [{"clip": "CLIPModel", "siglip": "SiglipModel"}[kind]],
        "model_type": kind,
        "dtype": "float32",
        "projection_dim": config.embed_dim,
        "text_config": text,
        "vision_config": vision,
    }


def without_bias(config: ClipConfig) -> ClipConfig:
    """Without the bias of a CLIP's logits, such as the sigmoid loss learns: it changes no order.

    A `CLIPModel` has none; a `SiglipModel` keeps its own.
    """
    if config.towers.vision.pool != towers.CLASS:
        return config
    return dataclasses.replace(config, towers=dataclasses.replace(config.towers, logit_bias=False))


def model_type(config: ClipConfig) -> str:
    """clip or siglip; raises ValueError for towers that neither has."""
    for kind, family in (("clip", CLIP), ("siglip", SIGLIP)):
        same = dataclasses.replace(
            config.towers,
            pixels=family.pixels,
            tokenizer=family.tokenizer,
            max_logit_scale=family.max_logit_scale,
        )
        if same == family:
            return kind
    if config.towers.video.frames:
        raise ValueError(
            "Hugging Face's CLIPModel and SiglipModel take pictures, and VideoPrism's towers whole "
            "videos: use animclip convert --to=animclip, or animclip export with another --format"
        )
    raise ValueError(
        "neither Hugging Face's CLIPModel nor its SiglipModel computes these towers "
        f"({config.towers.vision}, {config.towers.text})"
    )
