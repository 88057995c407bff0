"""open_clip_config.json <-> the architecture and the pixels it reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import files
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import Pixels, Towers
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import architecture, timm_vit

# The settings of open_clip that we know; another one may change what is computed.
_MODEL = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "custom_text"}
_MODEL |= {"init_logit_bias", "init_logit_scale"}
_VISION = {"image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "no_causal_mask"}
# Those of a vision tower that timm builds; dropout is for training.
_TIMM = {"timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj"}
_TIMM |= {"timm_drop", "timm_drop_path"}
_SIGLIP_TEXT = {"hf_tokenizer_name", "tokenizer_kwargs", "proj_bias", "proj_type", "pool_type"}
_SIGLIP_TEXT |= {"norm_kwargs", "act_kwargs"}
# Repositories with the tokens of SigLIP, by our names.
_TOKENIZERS = {
    "c4_en": "timm/ViT-B-16-SigLIP",
    "mc4": "timm/ViT-B-16-SigLIP-i18n-256",
    "gemma": "timm/ViT-B-16-SigLIP2-256",
}
_VOCABULARY = 49408
_NONE = "none"


def load(path: Path) -> dict[str, Any]:
    """What a file says, for `read` and `completed`.

    Raises:
      ValueError: a section is missing, or no object.
    """
    document = files.read_object(path, fields={"model_cfg": dict})
    model = document["model_cfg"]
    for name, section in (
        ("model_cfg.vision_cfg", model.get("vision_cfg")),
        ("model_cfg.text_cfg", model.get("text_cfg")),
        ("preprocess_cfg", document.get("preprocess_cfg", {})),
    ):
        if not isinstance(section, dict):
            raise ValueError(f"{path}: found {section!r:.80} as {name!r}, wanted a JSON object")
    return document


def read(tensors: Mapping[str, np.ndarray], document: Mapping[str, Any], source: str) -> ClipConfig:
    """The architecture of tensors in OpenAI's layout with their open_clip_config.json.

    Raises:
      ValueError: as `architecture.from_openai`, or the document asks for what ours can't compute,
        or states other sizes than the tensors have.
    """
    model = document.get("model_cfg", {})
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    family, activation = _family(model)
    if faults := [*sorted(_unknown(model, family)), *_other(model, family)]:
        listed = ", ".join(faults)
        raise ValueError(f"{source}: not plain CLIP, SigLIP or PE-Core, it sets {listed}")
    if "visual.proj.bias" in tensors:  # timm's towers of PE-Core have one, Meta's have not
        vision_tower = dataclasses.replace(family.vision, projection=towers.DENSE)
        family = dataclasses.replace(family, vision=vision_tower)
    pixels = pixels_of(document.get("preprocess_cfg", {}), family.pixels, source)
    family = dataclasses.replace(family, pixels=pixels)
    # Those of the vision tower come below, when its width is known to be the one that is said.
    config = architecture.from_openai(tensors, activation, source, family, vision_heads=1)
    if lies := [*_other_sizes(model, config)]:
        raise ValueError(
            f"{source}: not the configuration of these tensors, which have {'; '.join(lies)}: take "
            "both files from one model (convert resizes position embeddings with --image-size)"
        )
    try:
        seen = dataclasses.replace(config.vision, heads=_vision_heads(vision, config.vision.width))
        said = dataclasses.replace(config.text, heads=text.get("heads", config.text.heads))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    return dataclasses.replace(config, vision=seen, text=said)


def completed(
    tensors: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """With a projection that changes nothing, where a SigLIP has none of captions."""
    text = document.get("model_cfg", {}).get("text_cfg", {})
    if text.get("proj_type") != _NONE or "ln_final.bias" not in tensors:
        return dict(tensors)
    width = len(tensors["ln_final.bias"])
    identity = np.eye(width, dtype=np.float32)
    added = {"text_projection.weight": identity, "text_projection.bias": 0 * identity[0]}
    return added | dict(tensors)


def _family(model: Mapping[str, Any]) -> tuple[Towers, str]:
    """The family by the name of its vision tower, and its activation."""
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    found = timm_vit.parse(vision.get("timm_model_name"))
    if found is not None and found.family == timm_vit.PE_CORE:
        has_class = found.size != "gigantic"
        seen = dataclasses.replace(towers.PE_CORE.vision, class_token=has_class)
        return dataclasses.replace(towers.PE_CORE, vision=seen), "gelu"
    if found is not None and found.family == timm_vit.SIGLIP:
        size = text.get("vocab_size")
        known = architecture.SIGLIP_TOKENIZERS.get(size) if isinstance(size, int) else None
        return dataclasses.replace(towers.SIGLIP, tokenizer=known or "unknown"), "gelu_tanh"
    tower = dataclasses.replace(towers.CLIP.text, causal=not text.get("no_causal_mask", False))
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    has_bias = model.get("init_logit_bias") is not None
    return dataclasses.replace(towers.CLIP, text=tower, logit_bias=has_bias), activation


def _unknown(model: Mapping[str, Any], family: Towers) -> Iterator[str]:
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    is_siglip = family.text.pool == towers.LAST
    known_text = _TEXT | (_SIGLIP_TEXT if is_siglip else set())
    for name, section, known in (
        ("model_cfg", model, _MODEL),
        ("vision_cfg", vision, _TIMM | _VISION if "timm_model_name" in vision else _VISION),
        ("text_cfg", text, known_text),
    ):
        yield from (f"{name}.{field}" for field in section if field not in known)


def _other(model: Mapping[str, Any], family: Towers) -> Iterator[str]:
    """Settings whose values are not the family's, where they change what is computed."""
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    wanted: dict[str, tuple[Any, Any]] = {}
    if (name := vision.get("timm_model_name")) is not None:
        found = timm_vit.parse(name)
        if found is None:
            yield f"vision_cfg.timm_model_name={name!r}"
            return
        is_map = family.vision.pool == towers.MAP
        wanted["vision_cfg.timm_pool"] = vision.get("timm_pool"), "map" if is_map else "token"
        projected = family.vision.projection != towers.NONE
        wanted["vision_cfg.timm_proj"] = vision.get("timm_proj"), None if projected else _NONE
        wanted["quick_gelu"] = bool(model.get("quick_gelu")), found.quick_gelu
    if family.text.pool == towers.LAST:
        unprojected = text.get("proj_type") == _NONE
        wanted |= {
            "text_cfg.no_causal_mask": (text.get("no_causal_mask"), True),
            "text_cfg.proj_bias": (text.get("proj_bias"), None if unprojected else True),
            "text_cfg.proj_type": (text.get("proj_type"), _NONE if unprojected else None),
            "text_cfg.pool_type": (text.get("pool_type"), "last"),
            "text_cfg.norm_kwargs": (text.get("norm_kwargs"), {"eps": family.norm_epsilon}),
        }
    for name, (value, usual) in wanted.items():
        if value != usual:
            yield f"{name}={value!r} (wanted {usual!r})"


def _other_sizes(model: Mapping[str, Any], config: ClipConfig) -> Iterator[str]:
    """What the tensors have where the document states something else."""
    vision, text = config.vision, config.text
    found = {
        "model_cfg": {"embed_dim": config.embed_dim},
        "vision_cfg": {"image_size": config.image_size, "patch_size": config.patch_size}
        | {"width": vision.width, "layers": vision.layers},
        "text_cfg": {"context_length": config.context_length, "vocab_size": config.vocab_size}
        | {"width": text.width, "layers": text.layers},
    }
    for name, sizes in found.items():
        section = model if name == "model_cfg" else model.get(name, {})
        for field, size in sizes.items():
            if (stated := section.get(field, size)) not in (size, [size, size]):
                yield f"{name}.{field}={size}, not {stated}"
    name = model.get("vision_cfg", {}).get("timm_model_name")
    if (named := timm_vit.parse(name)) is not None:
        published = timm_vit.size_of(named.family, vision.width)
        if published not in (None, named.size):
            yield f"the {published} tower of {named.family}, not {name}"


def _vision_heads(vision: Mapping[str, Any], width: int) -> int:
    if (name := vision.get("timm_model_name")) is None:
        head_width = vision.get("head_width", architecture.HEAD_WIDTH)
        if type(head_width) is not int or head_width < 1:
            raise ValueError(f"head_width {head_width!r}: wanted a whole number above 0")
        return max(width // head_width, 1)
    found = timm_vit.parse(name)
    assert found is not None  # `_other` has looked
    return found.heads


def pixels_of(section: Mapping[str, Any], usual: Pixels, source: str) -> Pixels:
    """What preprocess_cfg says; what it leaves out is as usual."""
    try:
        return Pixels(
            section.get("mean", usual.mean),
            section.get("std", usual.std),
            section.get("resize_mode", usual.resize),
            section.get("interpolation", usual.interpolation),
        )
    except ValueError as error:
        raise ValueError(f"{source}: preprocess_cfg: {error}") from None


def write(config: ClipConfig) -> dict[str, Any]:
    """The open_clip_config.json of this architecture.

    Raises:
      ValueError: open_clip builds no such model; says all of what it can't.
    """
    by_timm = config.towers.vision.pool == towers.MAP
    is_siglip = config.towers.text.pool == towers.LAST
    pixels = config.towers.pixels
    if faults := [*_unbuilt(config)]:
        raise ValueError(f"open_clip does not compute these towers: {'; '.join(faults)}")
    model: dict[str, Any] = {"embed_dim": config.embed_dim}
    if config.activation == "quick_gelu":
        model["quick_gelu"] = True
    if config.towers.logit_bias:
        model["init_logit_bias"] = -10
    if by_timm:
        model["custom_text"] = True
        vision: dict[str, Any] = {
            "image_size": config.image_size,
            "timm_model_name": timm_vit.name_of(config),
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": _NONE if is_siglip else None,
        }
    else:
        vision = {
            "image_size": config.image_size,
            "layers": config.vision.layers,
            "width": config.vision.width,
            "head_width": config.vision.width // config.vision.heads,
            "patch_size": config.patch_size,
            "mlp_ratio": _ratio(config.vision),
        }
    model |= {"vision_cfg": vision, "text_cfg": _text_section(config)}
    seen = {
        "mean": pixels.mean,
        "std": pixels.std,
        "interpolation": pixels.interpolation,
        "resize_mode": pixels.resize,
    }
    return {"model_cfg": model, "preprocess_cfg": seen}


def _text_section(config: ClipConfig) -> dict[str, Any]:
    """text_cfg."""
    text: dict[str, Any] = {
        "context_length": config.context_length,
        "vocab_size": config.vocab_size,
        "width": config.text.width,
        "heads": config.text.heads,
        "layers": config.text.layers,
        "mlp_ratio": _ratio(config.text),
    }
    if not config.towers.text.causal:
        text["no_causal_mask"] = True
    if config.towers.text.pool == towers.LAST:
        text |= {
            "hf_tokenizer_name": _TOKENIZERS[config.towers.tokenizer],
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": config.towers.norm_epsilon},
            "act_kwargs": {"approximate": "tanh"},
        }
    return text


def _unbuilt(config: ClipConfig) -> Iterator[str]:
    """What open_clip has no setting for."""
    found, usual, activations = config.towers, towers.CLIP, {"quick_gelu", "gelu"}
    if found.video.frames:
        yield "VideoPrism's towers take whole videos, and those of open_clip pictures"
        return
    if found.vision.pool == towers.MAP:
        is_siglip = found.text.pool == towers.LAST
        usual = towers.SIGLIP if is_siglip else towers.PE_CORE
        activations = {"gelu_tanh" if is_siglip else "gelu"}
        try:
            timm_vit.name_of(config)
        except ValueError as error:
            yield str(error)
    elif found.vision != usual.vision:
        yield f"vision is {found.vision}"
    if dataclasses.replace(found.text, causal=usual.text.causal) != usual.text:
        yield f"text is {found.text}"
    if found.norm_epsilon != usual.norm_epsilon:
        yield f"norm_epsilon is {found.norm_epsilon}, wanted {usual.norm_epsilon}"
    if config.activation not in activations:
        yield f"activation is {config.activation}, wanted {' or '.join(sorted(activations))}"
    if not found.pixels.antialias:
        yield "pixels.antialias is False"
    if usual is towers.SIGLIP:
        if found.tokenizer not in _TOKENIZERS:
            yield f"tokenizer is {found.tokenizer}, wanted {' or '.join(_TOKENIZERS)}"
    elif config.vocab_size != _VOCABULARY:
        yield f"vocab_size is {config.vocab_size}, wanted all {_VOCABULARY} tokens of CLIP"


def _ratio(tower: TransformerConfig) -> float:
    """What times the width, rounded down, is the hidden width."""
    ratio = tower.mlp_width / tower.width
    while int(tower.width * ratio) < tower.mlp_width:
        ratio = math.nextafter(ratio, math.inf)
    return ratio
