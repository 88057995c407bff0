"""timm's names of the vision towers that open_clip's configurations use."""

from __future__ import annotations

import dataclasses
import re
from typing import NamedTuple

from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.presets import PRESETS

CLIP, SIGLIP, PE_CORE = "clip", "siglip", "pe_core"
# By timm's name of a size: how many heads such a ViT has.
_HEADS = {"tiny": 3, "small": 6, "medium": 8, "base": 12}
_HEADS |= {size: 16 for size in ("large", "so400m", "huge", "giant", "giantopt", "gigantic")}
_NAME = re.compile(
    rf"vit_(?P<pe>pe_core_)?(?P<size>{'|'.join(_HEADS)})_patch\d+"
    r"(?:_(?P<kind>clip|siglip)(?P<quick>_quickgelu)?)?_\d+"
)
# The sizes that timm 1.0.31 has of each family, by their width.
_SIZES = {
    CLIP: {512: "medium", 768: "base", 1024: "large", 1280: "huge", 1408: "giant"},
    SIGLIP: {768: "base", 1024: "large", 1152: "so400m", 1536: "giantopt"},
    PE_CORE: {192: "tiny", 384: "small", 768: "base", 1024: "large", 1536: "gigantic"},
}


class TimmVit(NamedTuple):
    """What a name says: clip, siglip or pe_core; the size; whether it computes quick_gelu."""

    family: str
    size: str
    quick_gelu: bool = False

    @property
    def heads(self) -> int:
        """Heads of each layer."""
        return _HEADS[self.size]


def parse(name: object) -> TimmVit | None:
    """What a name says; None for a tower that is none of these."""
    found = _NAME.fullmatch(str(name))
    if found is None or not (found["pe"] or found["kind"]):
        return None
    family = PE_CORE if found["pe"] else found["kind"]
    return TimmVit(family, found["size"], bool(found["quick"]))


def size_of(family: str, width: int) -> str | None:
    """timm's name of the size of a vision tower; None for a width that no published one has."""
    return _SIZES[family].get(width)


def name_of(config: ClipConfig) -> str:
    """timm's name of the vision tower of a SigLIP or PE-Core.

    Raises:
      ValueError: it is none of the published ones, which are all that timm has.
    """
    family = PE_CORE if config.towers.vision.rotary else SIGLIP
    if not any(_has_vision_of(preset, config) for preset in PRESETS.values()):
        raise ValueError(
            f"its vision tower is not a published one of {family}, and timm has no others: "
            f"{config.vision}, {config.towers.vision}, patches of {config.patch_size}, pictures of "
            f"{config.image_size} pixels"
        )
    size, patches = _SIZES[family][config.vision.width], f"patch{config.patch_size}"
    if family == PE_CORE:
        return f"vit_pe_core_{size}_{patches}_{config.image_size}"
    return f"vit_{size}_{patches}_siglip_{config.image_size}"


def _has_vision_of(preset: ClipConfig, config: ClipConfig) -> bool:
    tower = config.towers.vision
    if tower.projection == towers.DENSE:  # timm's have a bias, Meta's have not
        tower = dataclasses.replace(tower, projection=towers.MATRIX)
    found, wanted = ((it.image_size, it.patch_size, it.vision) for it in (preset, config))
    return found == wanted and tower.pool == towers.MAP and preset.towers.vision == tower
