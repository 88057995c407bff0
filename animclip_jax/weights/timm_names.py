"""timm's names of a vision tower in an open_clip repository -> those that OpenAI's layout has."""

import re
from collections.abc import Mapping

import numpy as np

TRUNK = "visual.trunk."
_TEXT = "text."
# In order, each on what the one before made.
_RENAMED = (
    (r"trunk\.cls_token", "class_embedding"),
    (r"trunk\.pos_embed", "positional_embedding"),
    (r"trunk\.patch_embed\.proj\.", "conv1."),
    (r"trunk\.norm_pre\.", "ln_pre."),
    (r"trunk\.norm\.", "ln_post."),
    (r"trunk\.head\.weight", "proj.T"),
    (r"trunk\.head\.bias", "proj.bias"),
    (r"trunk\.blocks\.", "transformer.resblocks."),
    (r"trunk\.attn_pool\.latent", "attn_pool.probe"),
    (r"trunk\.attn_pool\.proj\.", "attn_pool.attn.out_proj."),
    (r"trunk\.attn_pool\.norm\.", "attn_pool.layernorm."),
    (r"trunk\.attn_pool\.q\.(weight|bias)", r"attn_pool.attn.in_proj_\1[q]"),
    (r"trunk\.attn_pool\.kv\.(weight|bias)", r"attn_pool.attn.in_proj_\1[kv]"),
    (r"trunk\.attn_pool\.mlp\.", "attn_pool.mlp."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".attn.in_proj_"),
    (r"\.attn\.proj\.", ".attn.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.c_fc."),
    (r"\.mlp\.fc2\.", ".mlp.c_proj."),
)


def to_openai(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under OpenAI's names, `rules.unfuse`d where timm keeps them apart; views."""
    found: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if not name.startswith(TRUNK):
            found[name.removeprefix(_TEXT)] = tensor
            continue
        for pattern, new in _RENAMED:
            name = re.sub(pattern, new, name)
        if name in ("visual.class_embedding", "visual.positional_embedding"):
            tensor = tensor.reshape(tensor.shape[-1:] if "class" in name else tensor.shape[-2:])
        if name.endswith("[kv]"):
            name = name.removesuffix("[kv]")
            key, value = np.split(tensor, 2)
            found |= {f"{name}[k]": key, f"{name}[v]": value}
        else:
            found[name] = tensor
    return found
