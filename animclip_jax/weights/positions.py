"""Position embeddings of the vision tower for pictures of another size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights.deferred import Array

_PATH = "vision/position_embedding"


def resize(
    params: Mapping[str, Array], config: ClipConfig, image_size: int
) -> tuple[dict[str, Array], ClipConfig]:
    """The same model for pictures of `image_size` pixels a side.

    The raster of position embeddings is resized bicubically, anti-aliased; [CLS], where there is
    one, keeps its own.
    Raises ValueError for a size that is no multiple of a patch's, and for another size of towers
    with rotary positions, which count patches.
    """
    if config.towers.vision.rotary and image_size != config.image_size:
        raise ValueError(
            f"image_size {image_size}: wanted {config.image_size}, since the rotary positions of "
            "these towers count patches"
        )
    config = dataclasses.replace(config, image_size=image_size)
    table = np.asarray(params[_PATH])
    first = int(config.towers.vision.class_token)
    side, width = round((len(table) - first) ** 0.5), table.shape[1]
    if side == config.grid:
        return dict(params), config
    raster = jnp.asarray(table[first:].reshape(side, side, width))
    resized = jax.image.resize(raster, (config.grid, config.grid, width), "cubic")
    patches = np.asarray(resized, np.float32).reshape(-1, width)
    return dict(params) | {_PATH: np.concatenate([table[:first], patches])}, config
