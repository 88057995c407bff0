"""A model's folder, ours or Hugging Face's: config.json and model.safetensors.

Ours: config.json is {"format": "animclip", "version": 1, "clip": the fields of ClipConfig};
model.safetensors holds the parameters of `models.clip.Clip` by slash-joined path, float32.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.transformer import TransformerConfig
from animclip_jax.weights import architecture, rules

CONFIG, TENSORS = "config.json", "model.safetensors"
FORMAT, VERSION = "animclip", 1


def save(directory: Path, params: Mapping[str, np.ndarray], config: ClipConfig) -> None:
    """Writes our folder, whole or not at all; raises FileExistsError if it is there already.

    Args:
      params: of `models.clip.Clip` by slash-joined path.
    """
    document = {"format": FORMAT, "version": VERSION, "clip": dataclasses.asdict(config)}
    tensors = {name: np.array(value, np.float32, order="C") for name, value in params.items()}
    _write(directory, document, tensors)


def save_hugging_face(
    directory: Path, params: Mapping[str, np.ndarray], config: ClipConfig
) -> None:
    """Writes what `transformers.CLIPModel.from_pretrained` reads; otherwise as `save`."""
    document = architecture.to_hugging_face(config)
    _write(directory, document, rules.to_hugging_face(params, config))


def load(directory: Path) -> tuple[dict[str, np.ndarray], ClipConfig]:
    """Our folder -> parameters by slash-joined path, and the architecture.

    Raises:
      FileNotFoundError, ValueError: it is not there, is of another format, or its parameters are
        not those of the architecture; names all that are not.
    """
    document = read_json(directory / CONFIG)
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise ValueError(
            f"{directory / CONFIG}: format {document.get('format')!r} version "
            f"{document.get('version')!r}, wanted {FORMAT!r} {VERSION}; animclip convert makes it"
        )
    try:
        fields = dict(document["clip"])
        for tower in ("vision", "text"):
            fields[tower] = TransformerConfig(**fields[tower])
        config = ClipConfig(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{directory / CONFIG}: not the fields of a model: {error}") from error
    params = read_tensors(directory / TENSORS)
    wanted = rules.parameter_shapes(config)
    faults = [f"missing: {name} {shape}" for name, shape in wanted.items() if name not in params]
    for name, value in params.items():
        if name not in wanted:
            faults.append(f"not expected: {name} {value.shape}")
        elif value.shape != wanted[name]:
            faults.append(f"wrong shape: {name} is {value.shape}, wanted {wanted[name]}")
    if faults:
        listed = "\n  ".join(faults)
        raise ValueError(f"{directory / TENSORS}: does not fit {CONFIG} beside it:\n  {listed}")
    return params, config


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file. Raises FileNotFoundError, or ValueError if it is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: found {type(document).__name__}, wanted an object")
    return document


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a safetensors file. Raises FileNotFoundError, or ValueError if it is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: no safetensors file: {error}") from error


def require_new(directory: Path) -> None:
    """Raises FileExistsError where a folder would be written over."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(f"{directory}: there already; remove it, or choose another folder")
    if not directory.absolute().parent.is_dir():
        raise FileNotFoundError(f"{directory}: there is no folder {directory.absolute().parent}")


def _write(directory: Path, document: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    directory = directory.absolute()
    require_new(directory)
    temporary = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        temporary.mkdir()
        (temporary / CONFIG).write_text(json.dumps(document, indent=2) + "\n")
        # transformers reads files that say "pt" there, which means the layout of the names alone.
        safetensors.numpy.save_file(dict(tensors), temporary / TENSORS, metadata={"format": "pt"})
        os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
