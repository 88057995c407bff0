"""Weights in two files and an index, as large ones are published."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy


def write(directory: Path, tensors: dict[str, np.ndarray]) -> dict[str, str]:
    """Replaces model.safetensors by two shards and their index; which tensor is in which file."""
    (directory / "model.safetensors").unlink()
    every = sorted(tensors)
    places: dict[str, str] = {}
    for number, part in enumerate((every[::2], every[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        safetensors.numpy.save_file({name: tensors[name] for name in part}, directory / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": places}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return places
