"""Weights of any layout we know -> our parameters and the architecture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from animclip_jax import files
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.models.towers import CLIP
from animclip_jax.weights import (
    architecture,
    big_vision,
    folder,
    hugging_face_config,
    names,
    open_clip_config,
    rules,
    safetensors_file,
    timm_names,
    torch_archive,
    videoprism,
    vocabulary,
)
from animclip_jax.weights.deferred import Array
from animclip_jax.weights.rules import Layout

OPEN_CLIP_CONFIG, OPEN_CLIP_TENSORS = "open_clip_config.json", "open_clip_model.safetensors"
OPEN_CLIP_TORCH = "open_clip_pytorch_model.bin"
PIXELS, TOKENIZER = "preprocessor_config.json", "tokenizer_config.json"
# What transformers 5 writes in place of PIXELS, with the same fields as one of its own.
PROCESSOR, PROCESSOR_PIXELS = "processor_config.json", "image_processor"
TORCH_TENSORS = "pytorch_model.bin"
# Beside shards: which file holds which tensor.
INDEX_SUFFIX = ".index.json"
TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def read(path: Path, activation: str | None = None) -> tuple[dict[str, np.ndarray], ClipConfig]:
    """As `deferred`, with all parameters in memory."""
    params, config = deferred(path, activation)
    return {name: np.asarray(value) for name, value in params.items()}, config


def deferred(path: Path, activation: str | None = None) -> tuple[Mapping[str, Array], ClipConfig]:
    """Reads a folder (ours, Hugging Face's, open_clip's) or a file (.pt, .safetensors, .npz).

    Args:
      activation: quick_gelu or gelu, for a file that does not say it.

    Returns:
      the parameters of `models.clip.Clip` by slash-joined path, float32, most of them made from
      the mapped file each time they are used; the architecture, with the vocabulary that lies
      beside them, if one does and it is not CLIP's.

    Raises:
      OSError, ValueError: what is wrong with which file; all tensors that don't fit at once.
    """
    return folder.dual_encoders(*whole(path, activation))


def whole(
    path: Path, activation: str | None = None
) -> tuple[Mapping[str, Array], ClipConfig | RetrieverConfig]:
    """As `deferred`, but of our folder all that is in it, such as a re-ranker."""
    params, config = _read(path, activation)
    if isinstance(config, RetrieverConfig):
        return params, config
    kind = config.towers.tokenizer
    if kind != CLIP.tokenizer and not config.tokenizer:
        beside = vocabulary.find(path if path.is_dir() else path.parent, kind)
        config = dataclasses.replace(config, tokenizer=beside)
    return params, config


def _read(
    path: Path, activation: str | None
) -> tuple[Mapping[str, Array], ClipConfig | RetrieverConfig]:
    if path.is_dir():
        return _read_folder(path, activation)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.suffix == ".npz":
        _refuse_activation(activation, path)
        return (videoprism if videoprism.is_in(path) else big_vision).read(path)
    tensors, is_script = _read_file(path)
    # OpenAI published TorchScript archives, and trained all its models with quick_gelu.
    known = "quick_gelu" if is_script else None
    beside = path.parent / OPEN_CLIP_CONFIG
    if {"log_logit_scale", "clip/log_logit_scale"} & set(tensors):
        raise ValueError(f"{path}: a file of this project's; give its folder, {path.parent}")
    if any(key.startswith(("text_model.", "vision_model.")) for key in tensors):
        return _hugging_face(tensors, path.parent, path, activation)
    return _openai(tensors, beside if beside.is_file() else None, path, known, activation)


def _read_folder(
    path: Path, activation: str | None
) -> tuple[Mapping[str, Array], ClipConfig | RetrieverConfig]:
    config, document = path / folder.CONFIG, path / OPEN_CLIP_CONFIG
    described = files.read_object(config) if config.is_file() else {}
    if described.get("format") == folder.FORMAT:
        _refuse_activation(activation, config)
        return folder.load(path)
    # Beside open_clip's files there may be those of timm, of the vision tower alone.
    if config.is_file() and ("model_type" in described or not document.is_file()):
        for name in (folder.TENSORS, TORCH_TENSORS):
            for file in (path / name, path / f"{name}{INDEX_SUFFIX}"):
                if file.is_file():
                    return _hugging_face(_read_file(file).tensors, path, file, activation)
    for name in (OPEN_CLIP_TENSORS, OPEN_CLIP_TORCH):
        if document.is_file() and (path / name).is_file():
            tensors = _read_file(path / name).tensors
            return _openai(tensors, document, path / name, None, activation)
    raise FileNotFoundError(
        f"{path}: neither {folder.CONFIG} with {folder.TENSORS} or {TORCH_TENSORS}, or their "
        f"shards with {INDEX_SUFFIX}, nor {OPEN_CLIP_CONFIG} with {OPEN_CLIP_TENSORS} or "
        f"{OPEN_CLIP_TORCH} in it"
    )


def _read_file(path: Path) -> torch_archive.Archive:
    """The tensors of one file, or of the shards that an index names, without a wrapper's names."""
    if path.name.endswith(INDEX_SUFFIX):
        tensors, is_script = _read_shards(path), False
    elif path.suffix in TORCH_SUFFIXES:
        tensors, is_script = torch_archive.read(path)
    elif path.suffix == ".safetensors":
        tensors, is_script = safetensors_file.read(path), False
    else:
        raise ValueError(f"{path}: can't read {path.suffix!r}, wanted .safetensors, .pt or .npz")
    return torch_archive.Archive(names.unwrap(tensors, str(path)), is_script)


def _read_shards(index: Path) -> dict[str, np.ndarray]:
    """All tensors that an index names, out of the files beside it."""
    places = files.read_object(index).get("weight_map")
    if not isinstance(places, dict) or not all(
        isinstance(file, str) and Path(file).name == file for file in places.values()
    ):
        raise ValueError(f"{index}: no weight_map from names of tensors to files beside it")
    found: dict[str, np.ndarray] = {}
    for file in sorted(set(places.values())):
        shard = index.with_name(file)
        if not shard.is_file():
            raise FileNotFoundError(f"{shard}: no such file, and {index.name} names it")
        torch = shard.suffix in TORCH_SUFFIXES
        tensors = torch_archive.read(shard).tensors if torch else safetensors_file.read(shard)
        wanted = [name for name, place in places.items() if place == file]
        if missing := [name for name in wanted if name not in tensors]:
            raise ValueError(f"{shard}: lacks {', '.join(missing)}, which {index.name} names")
        found |= {name: tensors[name] for name in wanted}
    return found


def _hugging_face(
    tensors: Mapping[str, np.ndarray], directory: Path, source: Path, activation: str | None
) -> tuple[Mapping[str, Array], ClipConfig]:
    document = directory / folder.CONFIG
    _refuse_activation(activation, document)
    config = hugging_face_config.read(files.read_object(document), str(document))
    described, file = _pictures(directory)
    pixels = hugging_face_config.read_pixels(described, config.towers.pixels, str(file))
    config = dataclasses.replace(config, towers=dataclasses.replace(config.towers, pixels=pixels))
    if (file := directory / TOKENIZER).is_file():
        towers = hugging_face_config.read_tokenizer(files.read_object(file), config.towers)
        config = dataclasses.replace(config, towers=towers)
    if config.towers.tokenizer == CLIP.tokenizer:
        vocabulary.require_clip(directory, config.vocab_size)
    apart = rules.unfuse(tensors)
    return rules.to_ours(apart, config, Layout.HUGGING_FACE, str(source)), config


def _pictures(directory: Path) -> tuple[dict[str, Any], Path]:
    """The settings of pictures, {} where there are none, and their file; transformers' choice."""
    file = directory / PROCESSOR
    if file.is_file() and (nested := files.read_object(file).get(PROCESSOR_PIXELS)) is not None:
        if not isinstance(nested, dict):
            raise ValueError(
                f"{file}: found {nested!r:.80} as {PROCESSOR_PIXELS!r}, wanted an object"
            )
        return nested, file
    file = directory / PIXELS
    return (files.read_object(file) if file.is_file() else {}), file


def _openai(
    tensors: Mapping[str, np.ndarray],
    document: Path | None,
    source: Path,
    known: str | None,
    activation: str | None,
) -> tuple[Mapping[str, Array], ClipConfig]:
    """`known`: the activation as the kind of file tells it; `activation`: as a person does."""
    tensors = {key: x for key, x in tensors.items() if key not in rules.NO_WEIGHTS[Layout.OPENAI]}
    tensors = rules.unfuse(timm_names.to_openai(tensors))
    if (bias := "visual.proj.bias") in tensors and not np.any(tensors[bias]):
        del tensors[bias]  # timm's PE-Core has one where Meta's has none
    family, trained_with = architecture.family_of(tensors)
    known = known or trained_with
    if document is not None:
        _refuse_activation(activation, document)
        described = open_clip_config.load(document)
        tensors = open_clip_config.completed(tensors, described)
        config = open_clip_config.read(tensors, described, str(document))
    elif known is not None:
        _refuse_activation(activation, source)
        config = architecture.from_openai(tensors, known, str(source), family)
    elif activation is not None:
        config = architecture.from_openai(tensors, activation, str(source), family)
    else:
        raise ValueError(
            f"{source}: does not say which activation the model was trained with: give "
            "--activation=quick_gelu (OpenAI's models) or --activation=gelu (most of open_clip's), "
            f"or put {OPEN_CLIP_CONFIG} beside it"
        )
    return rules.to_ours(tensors, config, Layout.OPENAI, str(source)), config


def _refuse_activation(activation: str | None, source: Path) -> None:
    if activation is not None:
        raise ValueError(
            f"--activation={activation}: {source} names the activation itself; leave it out"
        )
