"""Weights of any layout we know -> our parameters and the architecture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from animclip_jax import files
from animclip_jax.models.clip import ClipConfig
from animclip_jax.weights import architecture, folder, rules, torch_archive
from animclip_jax.weights.rules import Layout

OPEN_CLIP_CONFIG, OPEN_CLIP_TENSORS = "open_clip_config.json", "open_clip_model.safetensors"
PIXELS = "preprocessor_config.json"
TORCH_TENSORS = "pytorch_model.bin"
TORCH_SUFFIXES = (".pt", ".pth", ".bin")


def read(path: Path, activation: str | None = None) -> tuple[dict[str, np.ndarray], ClipConfig]:
    """Reads a folder (ours, Hugging Face's, open_clip's) or a file (.pt, .safetensors).

    Args:
      activation: quick_gelu or gelu, for a file that does not say it.

    Returns:
      the parameters of `models.clip.Clip` by slash-joined path, float32; the architecture.

    Raises:
      OSError, ValueError: what is wrong with which file; all tensors that don't fit at once.
    """
    if path.is_dir():
        return _read_folder(path, activation)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.suffix in TORCH_SUFFIXES:
        tensors, is_script = torch_archive.read(path)
        # OpenAI published TorchScript archives, and trained all its models with quick_gelu.
        known = "quick_gelu" if is_script else None
    elif path.suffix == ".safetensors":
        tensors, known = folder.read_tensors(path), None
    else:
        raise ValueError(f"{path}: can't read {path.suffix!r}, wanted .safetensors or .pt")
    beside = path.parent / OPEN_CLIP_CONFIG
    if any(key.startswith(("text_model.", "vision_model.")) for key in tensors):
        return _hugging_face(tensors, path.parent, path, activation)
    return _openai(tensors, beside if beside.is_file() else None, path, known, activation)


def _read_folder(path: Path, activation: str | None) -> tuple[dict[str, np.ndarray], ClipConfig]:
    config = path / folder.CONFIG
    if config.is_file():
        if files.read_object(config).get("format") == folder.FORMAT:
            _refuse_activation(activation, config)
            return folder.load_clip(path)
        for name, reader in (
            (folder.TENSORS, folder.read_tensors),
            (TORCH_TENSORS, lambda file: torch_archive.read(file).tensors),
        ):
            if (path / name).is_file():
                return _hugging_face(reader(path / name), path, path / name, activation)
    if (path / OPEN_CLIP_CONFIG).is_file() and (path / OPEN_CLIP_TENSORS).is_file():
        tensors = folder.read_tensors(path / OPEN_CLIP_TENSORS)
        document = path / OPEN_CLIP_CONFIG
        return _openai(tensors, document, path / OPEN_CLIP_TENSORS, None, activation)
    raise FileNotFoundError(
        f"{path}: neither {folder.CONFIG} with {folder.TENSORS} nor {OPEN_CLIP_CONFIG} with "
        f"{OPEN_CLIP_TENSORS} in it"
    )


def _hugging_face(
    tensors: Mapping[str, np.ndarray], directory: Path, source: Path, activation: str | None
) -> tuple[dict[str, np.ndarray], ClipConfig]:
    document = directory / folder.CONFIG
    _refuse_activation(activation, document)
    config = architecture.from_hugging_face(files.read_object(document), str(document))
    if (directory / PIXELS).is_file():
        pixels = files.read_object(directory / PIXELS)
        if "image_mean" in pixels and "image_std" in pixels:
            architecture.check_pixels(
                pixels["image_mean"], pixels["image_std"], str(directory / PIXELS)
            )
    return rules.to_ours(tensors, config, Layout.HUGGING_FACE, str(source)), config


def _openai(
    tensors: Mapping[str, np.ndarray],
    document: Path | None,
    source: Path,
    known: str | None,
    activation: str | None,
) -> tuple[dict[str, np.ndarray], ClipConfig]:
    """`known`: the activation as the kind of file tells it; `activation`: as a person does."""
    tensors = rules.unfuse_openai(
        {key: value for key, value in tensors.items() if key not in rules.NO_WEIGHTS[Layout.OPENAI]}
    )
    if document is not None:
        _refuse_activation(activation, document)
        described = files.read_object(document)
        config = architecture.from_open_clip(tensors, described, str(document))
        pixels = described.get("preprocess_cfg", {})
        if "mean" in pixels and "std" in pixels:
            architecture.check_pixels(pixels["mean"], pixels["std"], str(document))
    elif known is not None:
        _refuse_activation(activation, source)
        config = architecture.from_openai(tensors, known, str(source))
    elif activation is not None:
        config = architecture.from_openai(tensors, activation, str(source))
    else:
        raise ValueError(
            f"{source}: does not say which activation the model was trained with: give "
            "--activation=quick_gelu (OpenAI's models) or --activation=gelu (most of open_clip's), "
            f"or put {OPEN_CLIP_CONFIG} beside it"
        )
    return rules.to_ours(tensors, config, Layout.OPENAI, str(source)), config


def _refuse_activation(activation: str | None, source: Path) -> None:
    if activation is not None:
        raise ValueError(f"--activation={activation}: {source} says it itself, leave it out")
