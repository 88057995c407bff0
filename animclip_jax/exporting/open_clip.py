"""`animclip convert --to=open_clip`: a folder that open_clip's `local-dir:` loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from animclip_jax import files
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import folder, open_clip_config, rules, source, timm_names
from animclip_jax.weights.deferred import Array
from animclip_jax.weights.rules import Layout


def save(directory: Path, params: Mapping[str, Array], config: ClipConfig) -> None:
    """Writes open_clip's configuration and tensors into a new folder, whole or not at all.

    Raises:
      ValueError: open_clip builds no such model; says all of what it can't.
      FileExistsError: the folder is there already.
    """
    document = open_clip_config.write(config)
    with files.new_folder(directory) as temporary:
        files.write_json(temporary / source.OPEN_CLIP_CONFIG, document, indent=2)
        folder.write_tensors(temporary / source.OPEN_CLIP_TENSORS, tensors_of(params, config))


def tensors_of(params: Mapping[str, Array], config: ClipConfig) -> dict[str, np.ndarray]:
    """Under open_clip's names, float32; where timm builds the vision tower, under timm's."""
    if config.towers.vision.pool == towers.MAP:
        return timm_names.from_openai(rules.to_parts(params, config, Layout.OPENAI))
    return rules.to_theirs(params, config, Layout.OPENAI)
