"""Which of open_clip's architectures convert: `python -m tests.weights.open_clip_models`.

Needs open_clip_torch, in an environment of its own. Each model is made without memory for its
tensors, so that names and shapes are compared, values are not. Writes open_clip_models.json: the
version, and for each architecture its settings and whether it converts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax.weights import open_clip_config, rules, timm_names
from animclip_jax.weights.rules import Layout

LIST = Path(__file__).with_suffix(".json")


def converts(name: str, config: dict[str, Any]) -> bool:
    """Whether the tensors of that architecture become ours."""
    import open_clip
    import torch

    try:
        open_clip_config.read({}, {"model_cfg": config}, name)
    except ValueError as error:
        if "not plain CLIP" in str(error):
            return False
    kind = open_clip.model.CustomTextCLIP if config.get("custom_text") else open_clip.model.CLIP
    given = {key: value for key, value in config.items() if key != "custom_text"}
    with torch.device("meta"):
        state = kind(**given).state_dict()
    tensors = {key: np.broadcast_to(np.float32(0), tuple(at.shape)) for key, at in state.items()}
    try:
        tensors = rules.unfuse(timm_names.to_openai(tensors))
        tensors = open_clip_config.completed(tensors, {"model_cfg": config})
        found = open_clip_config.read(tensors, {"model_cfg": config}, name)
        rules.check(tensors, found, Layout.OPENAI, name)
    except ValueError as error:
        print(f"{name}: {str(error)[:300]}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    import open_clip

    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    models = {
        name: {"converts": converts(name, config), "config": config}
        for name, config in configs.items()
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(at)}" for name, at in models.items())
    LIST.write_text(f'{{"open_clip": "{open_clip.__version__}", "models": {{\n{lines}\n}}}}\n')
