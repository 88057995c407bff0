"""open_clip_config.json, with the tensors beside it -> the architecture and the pixels it reads."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import Pixels, Towers
from animclip_jax.weights import architecture

# The settings of open_clip that we know; another one may change what is computed.
_MODEL = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "custom_text"}
_MODEL |= {"init_logit_bias", "init_logit_scale"}
_VISION = {"image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "no_causal_mask"}
# Those of a vision tower that timm builds; dropout is for training.
_TIMM = {"timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj"}
_TIMM |= {"timm_drop", "timm_drop_path"}
_SIGLIP_TEXT = {"hf_tokenizer_name", "tokenizer_kwargs", "proj_bias", "pool_type"}
_SIGLIP_TEXT |= {"norm_kwargs", "act_kwargs"}
# timm's names of the sizes of a ViT, and how many heads each has.
_HEADS = {"tiny": 3, "small": 6, "medium": 8, "base": 12}
_HEADS |= {size: 16 for size in ("large", "so400m", "huge", "giant", "giantopt", "gigantic")}
_TIMM_NAME = re.compile(
    rf"vit_(?P<pe>pe_core_)?(?P<size>{'|'.join(_HEADS)})_patch\d+"
    r"(?:_(?P<kind>clip|siglip)(?P<quick>_quickgelu)?)?_\d+"
)


def read(tensors: Mapping[str, np.ndarray], document: Mapping[str, Any], source: str) -> ClipConfig:
    """The architecture of tensors in OpenAI's layout with their open_clip_config.json.

    Raises:
      ValueError: as `architecture.from_openai`, or the document asks for what ours can't compute.
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
    config = architecture.from_openai(tensors, activation, source, family)
    heads = _vision_heads(vision, config.vision.width)
    return dataclasses.replace(
        config,
        vision=dataclasses.replace(config.vision, heads=heads),
        text=dataclasses.replace(config.text, heads=text.get("heads", config.text.heads)),
    )


def _family(model: Mapping[str, Any]) -> tuple[Towers, str]:
    """The family by the name of its vision tower, and its activation."""
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    found = _TIMM_NAME.fullmatch(str(vision.get("timm_model_name")))
    if found is not None and found["pe"]:
        has_class = found["size"] != "gigantic"
        seen = dataclasses.replace(towers.PE_CORE.vision, class_token=has_class)
        return dataclasses.replace(towers.PE_CORE, vision=seen), "gelu"
    if found is not None and found["kind"] == "siglip":
        tokenizer = architecture.SIGLIP_TOKENIZERS.get(text.get("vocab_size"))
        return dataclasses.replace(towers.SIGLIP, tokenizer=tokenizer or "unknown"), "gelu_tanh"
    tower = dataclasses.replace(towers.CLIP.text, causal=not text.get("no_causal_mask", False))
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    return dataclasses.replace(towers.CLIP, text=tower), activation


def _unknown(model: Mapping[str, Any], family: Towers) -> Iterator[str]:
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    known_text = _TEXT | (_SIGLIP_TEXT if family.logit_bias else set())
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
        found = _TIMM_NAME.fullmatch(str(name))
        if found is None or not (found["pe"] or found["kind"]):
            yield f"vision_cfg.timm_model_name={name!r}"
            return
        is_map = family.vision.pool == towers.MAP
        wanted["vision_cfg.timm_pool"] = vision.get("timm_pool"), "map" if is_map else "token"
        projected = family.vision.projection != towers.NONE
        wanted["vision_cfg.timm_proj"] = vision.get("timm_proj"), None if projected else "none"
        quick = family.pixels == towers.CLIP.pixels and bool(found["quick"])
        wanted["quick_gelu"] = bool(model.get("quick_gelu")), quick
    if family.logit_bias:
        wanted |= {
            "text_cfg.no_causal_mask": (text.get("no_causal_mask"), True),
            "text_cfg.proj_bias": (text.get("proj_bias"), True),
            "text_cfg.pool_type": (text.get("pool_type"), "last"),
            "text_cfg.norm_kwargs": (text.get("norm_kwargs"), {"eps": family.norm_epsilon}),
        }
    for name, (value, usual) in wanted.items():
        if value != usual:
            yield f"{name}={value!r} (wanted {usual!r})"


def _vision_heads(vision: Mapping[str, Any], width: int) -> int:
    if (name := vision.get("timm_model_name")) is None:
        return max(width // vision.get("head_width", architecture.HEAD_WIDTH), 1)
    found = _TIMM_NAME.fullmatch(name)
    assert found is not None  # `_other` has looked
    return _HEADS[found["size"]]


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
