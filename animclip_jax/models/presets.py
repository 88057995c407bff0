"""Architectures as data. The ViT sizes are OpenAI CLIP's; `tiny` and `small` are ours.

`tiny` is for two CPU cores, `small` for training from scratch on one GPU.
"""

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.transformer import TransformerConfig

_TEXT_512 = TransformerConfig(width=512, layers=12, heads=8, mlp_width=2048)
_TEXT_768 = TransformerConfig(width=768, layers=12, heads=12, mlp_width=3072)
_VIT_B = TransformerConfig(width=768, layers=12, heads=12, mlp_width=3072)
_VIT_L = TransformerConfig(width=1024, layers=24, heads=16, mlp_width=4096)

PRESETS: dict[str, ClipConfig] = {
    # Folds rare ids together (see input_pipeline/tokenizer.py): a sixth of the embedding's cost.
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
}

# The re-ranker that goes with each: at 12 frames of ViT-B/32 15.1 KiB of code a video as int8, and
# 0.12 GFLOP a pair of 16 caption tokens (python -m benchmarks.model). `tiny` keeps every patch: in
# an average small things drown.
RERANKERS: dict[str, RerankerConfig] = {name: RerankerConfig() for name in PRESETS} | {
    "tiny": RerankerConfig(
        layers=1, width=64, heads=4, mlp_width=128, code_width=64, pooled_grid=4
    ),
}
