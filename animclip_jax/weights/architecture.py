"""What the tensors of OpenAI's layout show about the architecture: CLIP, PE-Core or SigLIP."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

import numpy as np

from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.towers import Towers
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import rules

# The width of an attention head, which the tensors don't show, and the towers with another one:
# by their width, the number of heads. Of CLIP's vision towers (ViT-H, g, bigG and e), and of the
# families with MAP pooling (SigLIP So400m; SigLIP 2 g-opt and PE-Core G).
HEAD_WIDTH = 64
_CLIP_VISION_HEADS = {1280: 16, 1408: 16, 1664: 16, 1792: 16}
_MAP_HEADS = {1152: 16, 1536: 16}
# The widest vision tower whose heads are sure to be of HEAD_WIDTH.
_WIDEST = 1024
# The vocabularies of SigLIP's tokenizers, by how many tokens they have.
SIGLIP_TOKENIZERS = {32_000: "c4_en", 250_000: "mc4", 256_000: "gemma"}
_POOL, _MAP_MLP = "visual.attn_pool.probe", "visual.attn_pool.mlp.c_fc.weight"
# Tensors that an architecture is read from, and how many axes each has.
_TELLING = {
    "visual.conv1.weight": 4,
    "visual.positional_embedding": 2,
    "visual.transformer.resblocks.0.mlp.c_fc.weight": 2,
    "transformer.resblocks.0.mlp.c_fc.weight": 2,
    "token_embedding.weight": 2,
    "positional_embedding": 2,
}
_PROJECTIONS = ("text_projection.T", "text_projection.weight")


def family_of(tensors: Mapping[str, np.ndarray]) -> tuple[Towers, str | None]:
    """The family that tensors of OpenAI's layout are of, and its activation where all share one.

    Which tokens SigLIP reads depends on its vocabulary, and whether PE-Core has a [CLS] token on
    its size.
    """
    if _POOL not in tensors:
        return towers.CLIP, None
    has_class = "visual.class_embedding" in tensors
    if "visual.conv1.bias" in tensors and not has_class:
        vocab = len(tensors.get("token_embedding.weight", ()))
        tokenizer = SIGLIP_TOKENIZERS.get(vocab, towers.SIGLIP.tokenizer)
        return dataclasses.replace(towers.SIGLIP, tokenizer=tokenizer), "gelu_tanh"
    vision = dataclasses.replace(towers.PE_CORE.vision, class_token=has_class)
    if "visual.proj.bias" in tensors:
        vision = dataclasses.replace(vision, projection=towers.DENSE)
    return dataclasses.replace(towers.PE_CORE, vision=vision), "gelu"


def from_openai(
    tensors: Mapping[str, np.ndarray],
    activation: str,
    source: str,
    family: Towers = towers.CLIP,
    vision_heads: int | None = None,
) -> ClipConfig:
    """The architecture that tensors of OpenAI's layout, through `rules.unfuse`, show.

    Args:
      vision_heads: of the vision tower, where a description says it; None for those of the
        published tower of that width.

    Raises:
      ValueError: tensors are missing without which it can't be told, naming all that don't fit; no
        model has such sizes; or no published vision tower is as wide and nothing says its heads.
    """
    if any(key.startswith("visual.layer1.") for key in tensors):
        raise ValueError(f"{source}: the vision tower is a ResNet, wanted a ViT")
    layers = [
        _count(tensors, rf"{tower}transformer\.resblocks\.(\d+)\..*") for tower in (r"visual\.", "")
    ]
    projection = _PROJECTIONS[family.text.projection == towers.DENSE]
    for key, axes in (_TELLING | {projection: 2}).items():
        if key not in tensors or tensors[key].ndim != axes:
            rules.check(tensors, _nameless(layers, family), rules.Layout.OPENAI, source)
    try:
        vision_width = tensors["visual.conv1.weight"].shape[0]
        heads = (
            _vision_heads(vision_width, family) if vision_heads is None else vision_heads,
            _text_heads(tensors["token_embedding.weight"].shape[1], family),
        )
        embed_dim = tensors[projection].shape[0]
        return _described(tensors, layers, heads, embed_dim, activation, family)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _described(
    tensors: Mapping[str, np.ndarray],
    layers: list[int],
    heads: tuple[int, int],
    embed_dim: int,
    activation: str,
    family: Towers,
) -> ClipConfig:
    """The architecture, once all telling tensors are there; raises ValueError for odd sizes."""
    vision_width, _, _, patch_size = tensors["visual.conv1.weight"].shape
    vocab_size, text_width = tensors["token_embedding.weight"].shape
    patches = tensors["visual.positional_embedding"].shape[0] - family.vision.class_token
    vision, text = (
        TransformerConfig(
            width=width,
            layers=count,
            heads=number,
            mlp_width=tensors[f"{tower}transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        )
        for tower, width, count, number in zip(
            ("visual.", ""), (vision_width, text_width), layers, heads, strict=True
        )
    )
    return ClipConfig(
        image_size=round(math.sqrt(max(patches, 0))) * patch_size,
        patch_size=patch_size,
        vision=vision,
        text=text,
        context_length=tensors["positional_embedding"].shape[0],
        vocab_size=vocab_size,
        embed_dim=embed_dim,
        activation=activation,
        towers=_with_pool(family, tensors, vision),
    )


def _vision_heads(width: int, family: Towers) -> int:
    """Heads of the published vision tower of that width."""
    is_clip = family.vision.pool == towers.CLASS
    known = _CLIP_VISION_HEADS if is_clip else _MAP_HEADS
    if width > _WIDEST and width not in known:
        raise ValueError(
            f"the vision tower is {width} wide, and tensors don't show how many heads it has, "
            f"wanted a width of up to {_WIDEST} or one of {', '.join(map(str, known))}: put the "
            "open_clip_config.json of the model beside the weights"
        )
    return known.get(width, _by_width(width))


def _text_heads(width: int, family: Towers) -> int:
    """Heads of the published text tower of that width; CLIP's are all of HEAD_WIDTH."""
    by_width = _by_width(width)
    return by_width if family.vision.pool == towers.CLASS else _MAP_HEADS.get(width, by_width)


def _by_width(width: int) -> int:
    """1 for a tower that is narrower than a head."""
    return max(width // HEAD_WIDTH, 1)


def _with_pool(
    family: Towers, tensors: Mapping[str, np.ndarray], vision: TransformerConfig
) -> Towers:
    """With the width of the pooling's MLP, where that is not the tower's."""
    if _MAP_MLP not in tensors or (width := len(tensors[_MAP_MLP])) == vision.mlp_width:
        return family
    tower = dataclasses.replace(family.vision, pool_mlp_width=width)
    return dataclasses.replace(family, vision=tower)


def _count(tensors: Mapping[str, np.ndarray], pattern: str) -> int:
    """Layers: one more than the greatest number in a name."""
    found = [int(match[1]) for key in tensors if (match := re.fullmatch(pattern, key))]
    return max(found, default=0) + 1


def _nameless(layers: list[int], family: Towers) -> ClipConfig:
    """An architecture of which only the number of layers is known, to compare names with."""
    vision, text = (TransformerConfig(1, count, 1, 1) for count in layers)
    return ClipConfig(1, 1, vision, text, embed_dim=1, towers=family)
