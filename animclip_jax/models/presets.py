"""Architectures as data: OpenAI's CLIP (vit), Meta's PE-Core, Google's SigLIP and VideoPrism.

Two are ours: `tiny` is for two CPU cores, `small` for training from scratch on one GPU.
"""

import dataclasses

from animclip_jax.models.clip_config import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.towers import PE_CORE, SIGLIP, VIDEOPRISM, Towers
from animclip_jax.models.transformer import TransformerConfig

_TEXT_512 = TransformerConfig(width=512, layers=12, heads=8, mlp_width=2048)
_TEXT_768 = TransformerConfig(width=768, layers=12, heads=12, mlp_width=3072)
_VIT_B = TransformerConfig(width=768, layers=12, heads=12, mlp_width=3072)
_VIT_L = TransformerConfig(width=1024, layers=24, heads=16, mlp_width=4096)


def _pe_core(
    image_size: int,
    patch_size: int,
    embed_dim: int,
    vision: TransformerConfig,
    text: TransformerConfig,
    context_length: int = 32,
    towers: Towers = PE_CORE,
) -> ClipConfig:
    return ClipConfig(
        image_size,
        patch_size,
        vision,
        text,
        context_length,
        embed_dim=embed_dim,
        activation="gelu",
        towers=towers,
    )


_PE_S = TransformerConfig(width=384, layers=12, heads=6, mlp_width=1536)
_PE_T = TransformerConfig(width=192, layers=12, heads=3, mlp_width=768)
_PE_G = TransformerConfig(width=1536, layers=50, heads=16, mlp_width=8960)
_TEXT_1024 = TransformerConfig(width=1024, layers=24, heads=16, mlp_width=4096)
_TEXT_1280 = TransformerConfig(width=1280, layers=24, heads=20, mlp_width=5120)
_PE_CORE_G = dataclasses.replace(
    PE_CORE,
    vision=dataclasses.replace(PE_CORE.vision, class_token=False, pool_mlp_width=6144),
)

_SO400M = TransformerConfig(width=1152, layers=27, heads=16, mlp_width=4304)
_GOPT = TransformerConfig(width=1536, layers=40, heads=16, mlp_width=6144)
# By name and patch: the towers, and the published sides of pictures. Patches of 14 fill 378 pixels
# of the 384 that Google names.
_SIGLIP = {
    "siglip_b16": (16, _VIT_B, _VIT_B, (224, 256, 384, 512)),
    "siglip_l16": (16, _VIT_L, _VIT_L, (256, 384)),
    "siglip_so400m14": (14, _SO400M, _SO400M, (224, 378)),
    "siglip2_b32": (32, _VIT_B, _VIT_B, (256,)),
    "siglip2_b16": (16, _VIT_B, _VIT_B, (224, 256, 384, 512)),
    "siglip2_l16": (16, _VIT_L, _VIT_L, (256, 384, 512)),
    "siglip2_so400m14": (14, _SO400M, _SO400M, (224, 378)),
    "siglip2_so400m16": (16, _SO400M, _SO400M, (256, 384, 512)),
    "siglip2_gopt16": (16, _GOPT, _SO400M, (256, 384)),
}


def _siglip(
    name: str, patch_size: int, vision: TransformerConfig, text: TransformerConfig, image_size: int
) -> ClipConfig:
    second = name.startswith("siglip2")
    return ClipConfig(
        image_size,
        patch_size,
        vision,
        text,
        context_length=16 if (name, image_size) == ("siglip_so400m14", 224) else 64,
        vocab_size=256_000 if second else 32_000,
        embed_dim=vision.width,
        activation="gelu_tanh",
        towers=dataclasses.replace(SIGLIP, tokenizer="gemma" if second else "c4_en"),
    )


def _videoprism(vision: TransformerConfig, frames: int) -> ClipConfig:
    return ClipConfig(
        288,
        18,
        vision,
        dataclasses.replace(vision, layers=12),
        context_length=65,  # 64 words and the end
        vocab_size=32_000,
        embed_dim=vision.width,
        activation="gelu",
        towers=dataclasses.replace(
            VIDEOPRISM, video=dataclasses.replace(VIDEOPRISM.video, frames=frames)
        ),
    )


PRESETS: dict[str, ClipConfig] = {
    # Folds rare ids together (see `ClipTokenizer`): a sixth of the embedding's cost.
    "tiny": ClipConfig(
        image_size=64,
        patch_size=16,
        vision=TransformerConfig(width=128, layers=3, heads=2, mlp_width=512),
        text=TransformerConfig(width=128, layers=2, heads=2, mlp_width=512),
        context_length=32,
        vocab_size=8192,
        embed_dim=128,
    ),
    "small": ClipConfig(
        image_size=128,
        patch_size=16,
        vision=TransformerConfig(width=384, layers=6, heads=6, mlp_width=1536),
        text=TransformerConfig(width=256, layers=6, heads=4, mlp_width=1024),
        embed_dim=256,
    ),
    "vit_b32": ClipConfig(image_size=224, patch_size=32, vision=_VIT_B, text=_TEXT_512),
    "vit_b16": ClipConfig(image_size=224, patch_size=16, vision=_VIT_B, text=_TEXT_512),
    "vit_l14": ClipConfig(
        image_size=224, patch_size=14, vision=_VIT_L, text=_TEXT_768, embed_dim=768
    ),
    "vit_l14_336": ClipConfig(
        image_size=336, patch_size=14, vision=_VIT_L, text=_TEXT_768, embed_dim=768
    ),
    "pe_core_t16_384": _pe_core(384, 16, 512, _PE_T, _TEXT_512),
    "pe_core_s16_384": _pe_core(384, 16, 512, _PE_S, _TEXT_512),
    "pe_core_b16": _pe_core(224, 16, 1024, _VIT_B, _TEXT_1024),
    "pe_core_l14_336": _pe_core(336, 14, 1024, _VIT_L, _TEXT_1024),
    "pe_core_g14_448": _pe_core(448, 14, 1280, _PE_G, _TEXT_1280, 72, _PE_CORE_G),
    **{
        f"{name}_{side}": _siglip(name, patch_size, vision, text, side)
        for name, (patch_size, vision, text, sides) in _SIGLIP.items()
        for side in sides
    },
    "videoprism_b": _videoprism(_VIT_B, 16),
    "videoprism_l": _videoprism(_VIT_L, 8),
}

# The re-ranker that goes with each: at 12 frames of ViT-B/32 15.1 KiB of code a video as int8, and
# 0.09 GFLOP a pair of 16 caption tokens (python -m benchmarks.model). `tiny` keeps every patch: in
# an average small things drown.
RERANKERS: dict[str, RerankerConfig] = {name: RerankerConfig() for name in PRESETS} | {
    "tiny": RerankerConfig(
        layers=1, width=64, heads=4, mlp_width=128, code_width=64, pooled_grid=4
    ),
}
