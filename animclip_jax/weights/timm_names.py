"""timm's names of a vision tower in an open_clip repository <-> those that OpenAI's layout has."""

import re
from collections.abc import Mapping

import numpy as np

TRUNK = "visual.trunk."
_TEXT = "text."
POOL = "attn_pool."
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


# Back, in order; the tensors of attention are joined before.
_BACK = (
    (r"^visual\.class_embedding", "visual.trunk.cls_token"),
    (r"^visual\.positional_embedding", "visual.trunk.pos_embed"),
    (r"^visual\.conv1\.", "visual.trunk.patch_embed.proj."),
    (r"^visual\.ln_pre\.", "visual.trunk.norm_pre."),
    (r"^visual\.ln_post\.", "visual.trunk.norm."),
    (r"^visual\.proj\.(?:T|weight)", "visual.trunk.head.weight"),
    (r"^visual\.proj\.bias", "visual.trunk.head.bias"),
    (r"^visual\.attn_pool\.probe", "visual.trunk.attn_pool.latent"),
    (r"^visual\.attn_pool\.attn\.out_proj\.", "visual.trunk.attn_pool.proj."),
    (r"^visual\.attn_pool\.attn\.in_proj_(weight|bias)\[q\]", r"visual.trunk.attn_pool.q.\1"),
    (r"^visual\.attn_pool\.attn\.in_proj_(weight|bias)\[k\]", r"visual.trunk.attn_pool.kv.\1"),
    (r"^visual\.attn_pool\.layernorm\.", "visual.trunk.attn_pool.norm."),
    (r"^visual\.attn_pool\.mlp\.", "visual.trunk.attn_pool.mlp."),
    (r"^visual\.transformer\.resblocks\.", "visual.trunk.blocks."),
    (r"^(visual.*)\.ln_([12])\.", r"\1.norm\2."),
    (r"^(visual.*)\.attn\.in_proj_", r"\1.attn.qkv."),
    (r"^(visual.*)\.attn\.out_proj\.", r"\1.attn.proj."),
    (r"^(visual.*)\.mlp\.c_fc\.", r"\1.mlp.fc1."),
    (r"^(visual.*)\.mlp\.c_proj\.", r"\1.mlp.fc2."),
)


def from_openai(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `rules.to_parts` gives for OpenAI's layout, as timm's tower and open_clip's text tower.

    timm's projection always has a bias, zeros where ours has none.
    """
    found: dict[str, np.ndarray] = {}
    for name, tensor in parts.items():
        if name.endswith("[v]") or (name.endswith("[k]") and POOL not in name):
            continue  # joined with the first of them
        if name.endswith("[q]") and POOL not in name:
            name = name.removesuffix("[q]")
            tensor = np.concatenate([parts[f"{name}[{part}]"] for part in "qkv"])
        elif name.endswith("[k]"):
            tensor = np.concatenate([tensor, parts[f"{name.removesuffix('[k]')}[v]"]])
        elif name == "visual.class_embedding":
            tensor = tensor[None, None]
        elif name == "visual.positional_embedding":
            tensor = tensor[None]
        elif name == "text_projection.T":
            name, tensor = "text_projection", np.ascontiguousarray(tensor.T)
        if name == "visual.proj.T":
            found["visual.trunk.head.bias"] = np.zeros(len(tensor), np.float32)
        if not name.startswith(("visual.", "logit_")):
            name = f"{_TEXT}{name}"
        for pattern, new in _BACK:
            name = re.sub(pattern, new, name)
        found[name] = tensor
    return found
