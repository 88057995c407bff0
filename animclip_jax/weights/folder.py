"""A model's folder, ours or Hugging Face's: config.json and model.safetensors.

Ours: config.json is {"format": "animclip", "version": 2, "clip": the fields of ClipConfig}, and for
a whole model the other fields of RetrieverConfig too; model.safetensors holds the parameters of
`models.clip.Clip`, or of `models.retriever.Retriever`, by slash-joined path, float32. Where the
vocabulary is not CLIP's, tokenizer.model or tokenizer.json holds it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from animclip_jax import files
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.motion import MotionConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig, TemporalConfig
from animclip_jax.weights import hugging_face_config, manifest, rules, safetensors_file, vocabulary
from animclip_jax.weights.deferred import Array, as_float32

CONFIG, TENSORS = "config.json", "model.safetensors"
FORMAT, VERSION = "animclip", 2
# Of versions that knew OpenAI's CLIP alone; the bias of the logits was the whole model's there.
_OLDER = 1
# Our folder in the manifest of an export.
KIND = "safetensors"
# Where the dual encoders' parameters lie among those of the whole model.
_INSIDE = "clip/"
T = TypeVar("T", bound=Array)


def save(
    directory: Path,
    params: Mapping[str, Array],
    config: ClipConfig | RetrieverConfig,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Writes our folder, whole or not at all; raises FileExistsError if it is there already.

    Args:
      params: of `Clip` or of `Retriever`, as the config is, by slash-joined path.
      origin: where the weights are from, kept in the configuration.
    """
    with files.new_folder(directory) as temporary:
        write(temporary, params, config, origin)


def write(
    directory: Path,
    params: Mapping[str, Array],
    config: ClipConfig | RetrieverConfig,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Writes the files of our folder into one that is there."""
    fields = describe(config) | ({"origin": dict(origin)} if origin else {})
    vocabulary.keep(directory, _clip(config).tokenizer)
    tensors = {name: as_float32(value) for name, value in params.items()}
    _write(directory, {"format": FORMAT, "version": VERSION} | fields, tensors)


def describe(config: ClipConfig | RetrieverConfig) -> dict[str, Any]:
    """The fields of `RetrieverConfig`, or {"clip": those of `ClipConfig`}, as JSON has them.

    Of a vocabulary the name and the SHA-256, wherever its file is now.
    """
    fields = dataclasses.asdict(config)
    fields = {"clip": fields} if isinstance(config, ClipConfig) else fields
    if file := fields["clip"].pop("tokenizer"):
        fields["clip"]["tokenizer"] = vocabulary.describe(file)
    return fields


def _clip(config: ClipConfig | RetrieverConfig) -> ClipConfig:
    return config if isinstance(config, ClipConfig) else config.clip


def write_hugging_face(directory: Path, params: Mapping[str, Array], config: ClipConfig) -> None:
    """Writes the files of Hugging Face's folder into one that is there; without a CLIP's bias."""
    config = hugging_face_config.without_bias(config)
    document = hugging_face_config.write(config)
    _write(directory, document, rules.to_theirs(params, config, rules.Layout.HUGGING_FACE))


def load(directory: Path) -> tuple[dict[str, np.ndarray], ClipConfig | RetrieverConfig]:
    """Our folder -> parameters by slash-joined path, and the configuration of what they are of.

    The parameters are read-only views of the file.

    Raises:
      FileNotFoundError, ValueError: it is not there, is of another format, is not what its manifest
        says where it has one, or its parameters are not those of the architecture; names all that
        are not.
    """
    if not (directory / manifest.MANIFEST).is_file():
        return _load(directory)
    # Checksums take as long as all the rest, and as little of Python: both are done at once.
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        check = beside.submit(manifest.check, directory, KIND)
        try:
            return _load(directory)
        finally:
            check.result()


def _load(directory: Path) -> tuple[dict[str, np.ndarray], ClipConfig | RetrieverConfig]:
    config = read_config(directory)
    params = safetensors_file.read(directory / TENSORS)
    if "logit_bias" in params and isinstance(config, RetrieverConfig):
        params[f"{_INSIDE}logit_bias"] = params.pop("logit_bias")
    wanted = parameters.shapes(config)
    faults = parameters.differences({name: value.shape for name, value in params.items()}, wanted)
    if faults:
        listed = "\n  ".join(faults)
        raise ValueError(f"{directory / TENSORS}: does not fit {CONFIG} beside it:\n  {listed}")
    return params, config


def load_clip(directory: Path) -> tuple[dict[str, np.ndarray], ClipConfig]:
    """The dual encoders of our folder, whatever else is in it; otherwise as `load`."""
    return dual_encoders(*load(directory))


def dual_encoders(
    params: Mapping[str, T], config: ClipConfig | RetrieverConfig
) -> tuple[dict[str, T], ClipConfig]:
    """The parameters of `Clip` alone, by their paths in it."""
    if isinstance(config, ClipConfig):
        return dict(params), config
    inside = {name: value for name, value in params.items() if name.startswith(_INSIDE)}
    return {name.removeprefix(_INSIDE): value for name, value in inside.items()}, config.clip


def left_out(params: Mapping[str, Array], config: ClipConfig | RetrieverConfig) -> list[str]:
    """The parts of a model that `dual_encoders` leaves out, such as the re-ranker."""
    if isinstance(config, ClipConfig):
        return []
    return sorted({name.split("/")[0] for name in params if not name.startswith(_INSIDE)})


def is_ours(directory: Path) -> bool:
    """Whether a folder is one of `animclip export`: of our format, with a manifest."""
    if not all((directory / name).is_file() for name in (CONFIG, manifest.MANIFEST)):
        return False
    return files.read_object(directory / CONFIG).get("format") == FORMAT


def origin(directory: Path) -> dict[str, Any]:
    """What our folder says of where its parameters are from; {} of others'.

    "repository" and "commit" of the Hub, or what the manifest of an export says.
    """
    if is_ours(directory):
        return manifest.read(directory, KIND).get("origin", {})
    path = directory / CONFIG
    document = files.read_object(path) if path.is_file() else {}
    return document.get("origin", {}) if document.get("format") == FORMAT else {}


def read_config(directory: Path) -> ClipConfig | RetrieverConfig:
    """What the config.json of our folder says; raises as `load`."""
    path = directory / CONFIG
    document = files.read_object(path)
    found = document.pop("format", None), document.pop("version", None)
    document.pop("origin", None)
    if found[0] != FORMAT or found[1] not in (_OLDER, VERSION):
        raise ValueError(
            f"{path}: format {found[0]!r} version {found[1]!r}, wanted {FORMAT!r} {VERSION}; "
            "animclip convert and animclip export make it"
        )
    try:
        fields = dict(document.pop("clip"))
        described = fields.pop("tokenizer", None)
        clip = ClipConfig.from_dict(fields)
        if document.pop("logit_bias", False):
            clip = dataclasses.replace(
                clip, towers=dataclasses.replace(clip.towers, logit_bias=True)
            )
        whole = None
        if document:
            reranker = RerankerConfig(**document.pop("reranker"))
            temporal = TemporalConfig(**document.pop("temporal"))
            # Folders of before had no eye for motion.
            motion = MotionConfig(**document.pop("motion", {}))
            whole = RetrieverConfig(clip, reranker, temporal=temporal, motion=motion, **document)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the fields of a model: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if described is not None:
        file = vocabulary.require(directory, described, path)
        clip = dataclasses.replace(clip, tokenizer=file)
    return clip if whole is None else dataclasses.replace(whole, clip=clip)


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Writes a safetensors file that whoever may read its folder may read."""
    safetensors_file.write(path, tensors)
    path.chmod(path.parent.stat().st_mode & 0o666)


def _write(directory: Path, document: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    files.write_json(directory / CONFIG, document, indent=2)
    write_tensors(directory / TENSORS, tensors)
