"""Which of open_clip's architectures convert: `python -m tests.weights.open_clip_models`.

Needs open_clip_torch, in an environment of its own. Each model is made without memory for its
tensors, so that names and shapes are compared, values are not. Writes open_clip_models.json: the
version, and for each architecture the settings that it makes and whether it converts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax.weights import architecture, rules
from animclip_jax.weights.rules import Layout

LIST = Path(__file__).with_suffix(".json")


def settings(config: dict[str, Any]) -> list[str]:
    """The names of all settings, a section's as section.name."""
    return sorted(
        f"{name}.{inner}" if inner else name
        for name, value in config.items()
        for inner in (value if isinstance(value, dict) and value else [""])
    )


def converts(name: str, config: dict[str, Any]) -> bool:
    """Whether the tensors of that architecture become ours."""
    import open_clip
    import torch

    try:
        architecture.from_open_clip({}, {"model_cfg": config}, name)
    except ValueError as error:
        if "not plain CLIP" in str(error):
            return False
    with torch.device("meta"):
        state = open_clip.model.CLIP(**config).state_dict()
    tensors = {key: np.broadcast_to(np.float32(0), tuple(at.shape)) for key, at in state.items()}
    try:
        tensors = rules.unfuse_openai(tensors)
        found = architecture.from_open_clip(tensors, {"model_cfg": config}, name)
        rules.check(tensors, found, Layout.OPENAI, name)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    import open_clip

    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    models = {
        name: {"converts": converts(name, config), "settings": settings(config)}
        for name, config in configs.items()
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(at)}" for name, at in models.items())
    LIST.write_text(f'{{"open_clip": "{open_clip.__version__}", "models": {{\n{lines}\n}}}}\n')
