"""timm's names of a vision tower in an open_clip repository <-> those that OpenAI's layout has."""

from collections.abc import Iterable, Mapping

import numpy as np

TRUNK = "visual.trunk."
_TEXT = "text."
_POOL = "visual.attn_pool."
# timm's name and OpenAI's, or how both begin.
_RENAMED = (
    ("visual.trunk.cls_token", "visual.class_embedding"),
    ("visual.trunk.pos_embed", "visual.positional_embedding"),
    ("visual.trunk.patch_embed.proj.", "visual.conv1."),
    ("visual.trunk.norm_pre.", "visual.ln_pre."),
    ("visual.trunk.norm.", "visual.ln_post."),
    ("visual.trunk.head.weight", "visual.proj.T"),
    ("visual.trunk.head.bias", "visual.proj.bias"),
    ("visual.trunk.attn_pool.latent", "visual.attn_pool.probe"),
    ("visual.trunk.attn_pool.q.weight", "visual.attn_pool.attn.in_proj_weight[q]"),
    ("visual.trunk.attn_pool.q.bias", "visual.attn_pool.attn.in_proj_bias[q]"),
    ("visual.trunk.attn_pool.kv.weight", "visual.attn_pool.attn.in_proj_weight[kv]"),
    ("visual.trunk.attn_pool.kv.bias", "visual.attn_pool.attn.in_proj_bias[kv]"),
    ("visual.trunk.attn_pool.proj.", "visual.attn_pool.attn.out_proj."),
    ("visual.trunk.attn_pool.norm.", "visual.attn_pool.layernorm."),
    ("visual.trunk.attn_pool.mlp.fc1.", "visual.attn_pool.mlp.c_fc."),
    ("visual.trunk.attn_pool.mlp.fc2.", "visual.attn_pool.mlp.c_proj."),
)
_LAYERS = ("visual.trunk.blocks.", "visual.transformer.resblocks.")
# The same, behind a layer's number.
_IN_A_LAYER = (
    ("norm1.", "ln_1."),
    ("norm2.", "ln_2."),
    ("attn.qkv.", "attn.in_proj_"),
    ("attn.proj.", "attn.out_proj."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
)
# Axes that are left of tensors which have one more there, of a single item.
_AXES = {"visual.class_embedding": 1, "visual.positional_embedding": 2}


def _translated(name: str, old: int, new: int) -> str:
    """A name in the column `new` of the tables, from `old`; as it is if it is in neither table."""
    if not name.startswith(_LAYERS[old]):
        return _swapped(name, ((row[old], row[new]) for row in _RENAMED))
    number, _, rest = name.removeprefix(_LAYERS[old]).partition(".")
    rest = _swapped(rest, ((row[old], row[new]) for row in _IN_A_LAYER))
    return f"{_LAYERS[new]}{number}.{rest}"


def _swapped(name: str, beginnings: Iterable[tuple[str, str]]) -> str:
    for old, new in beginnings:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def to_openai(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors under OpenAI's names, `rules.unfuse`d where timm keeps them apart; views."""
    found: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if not name.startswith(TRUNK):
            found[name.removeprefix(_TEXT)] = tensor
            continue
        name = _translated(name, 0, 1)
        # What is of another shape stays as it is, to be named later.
        axes = _AXES.get(name, tensor.ndim)
        if set(tensor.shape[: tensor.ndim - axes]) == {1}:
            tensor = tensor.reshape(tensor.shape[-axes:])
        if name.endswith("[kv]") and tensor.ndim and len(tensor) % 2 == 0:
            stem = name.removesuffix("[kv]")
            found[f"{stem}[k]"], found[f"{stem}[v]"] = np.split(tensor, 2)
        else:
            found[name] = tensor
    return found


def from_openai(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What `rules.to_parts` gives for OpenAI's layout, as timm's tower and open_clip's text tower.

    timm's projection always has a bias, zeros where ours has none.
    """
    found: dict[str, np.ndarray] = {}
    for name, tensor in parts.items():
        stem, part = name[:-3], name[-3:]
        if part == "[v]" or (part == "[k]" and not name.startswith(_POOL)):
            continue  # joined with the first of them
        if part == "[q]" and not name.startswith(_POOL):
            name, tensor = stem, np.concatenate([parts[f"{stem}[{one}]"] for one in "qkv"])
        elif part == "[k]":
            name, tensor = f"{stem}[kv]", np.concatenate([tensor, parts[f"{stem}[v]"]])
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
        found[_translated(name, 1, 0)] = tensor
    return found
