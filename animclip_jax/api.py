"""Reads a model that left training: the folder of `animclip export` or of `animclip convert`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util

from animclip_jax import sharding
from animclip_jax.models import parameters
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.reranker import RerankerConfig
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.retrieval.encode import Encoder
from animclip_jax.weights import folder, manifest

DRAWN_ONLY = "this model was trained on drawn scenes alone: what it finds in other videos is noise"
# Of a video, for weights that were made for pictures.
CONVERTED_FRAMES = 12
# What stands where converted weights have no re-ranker: nearly nothing, and all of it zero.
_NO_RERANKER = RerankerConfig(layers=1, width=1, heads=1, mlp_width=1, code_width=1, tokens="cls")


class Exported(NamedTuple):
    """A model to search with.

    config: what the encoder computes. reranks: False for converted CLIP weights, whose fused score
    is the coarse one. manifest: the contents of manifest.json; for converted weights the checksums
    of the files alone. fingerprint: SHA-256 of the configuration and the parameters, the same
    whenever and wherever they are exported.
    """

    encoder: Encoder
    config: RetrieverConfig
    reranks: bool
    manifest: dict[str, Any]
    fingerprint: str

    @property
    def drawn_only(self) -> bool:
        """Whether it has seen the embedded world alone, by its manifest."""
        seen = self.manifest.get("origin", {}).get("trained_on", [])
        return bool(seen) and all(one.startswith("drawn:") for one in seen)


def load(directory: Path, devices: Sequence[jax.Device] | None = None) -> Exported:
    """Reads a model's folder, and puts the model onto the devices: all of this process.

    Raises:
      FileNotFoundError: it is not there, or a file of it is missing.
      ValueError: a file has changed, or is of another version or format; names the file.
    """
    found = folder.load(directory)
    reranks = isinstance(found[1], RetrieverConfig)
    if reranks or (directory / manifest.MANIFEST).is_file():
        document = manifest.read(directory, folder.KIND)
    else:
        document = {"files": manifest.describe(directory)}
    config = whole_config(found[1])
    encoder = make_encoder(whole_params(*found), config, devices)
    return Exported(encoder, config, reranks, document, _fingerprint(document))


def whole_config(
    config: ClipConfig | RetrieverConfig, num_frames: int = CONVERTED_FRAMES
) -> RetrieverConfig:
    """A model that `Encoder` takes: for dual encoders alone one whose re-ranker scores zero.

    Args:
      num_frames: of a video, for dual encoders alone.
    """
    if isinstance(config, RetrieverConfig):
        return config
    return RetrieverConfig(config, _NO_RERANKER, num_frames)


def whole_params(
    params: Mapping[str, Any],
    config: ClipConfig | RetrieverConfig,
    num_frames: int = CONVERTED_FRAMES,
) -> dict[str, Any]:
    """The parameters of `whole_config`'s model, by slash-joined path as those given."""
    if isinstance(config, RetrieverConfig):
        return dict(params)
    found = {f"clip/{name}": value for name, value in params.items()}
    for name, shape in parameters.shapes(whole_config(config, num_frames)).items():
        if name not in found:
            found[name] = np.zeros(shape, np.float32)
    return found


def make_encoder(
    params: dict[str, np.ndarray],
    config: RetrieverConfig,
    devices: Sequence[jax.Device] | None = None,
) -> Encoder:
    """The model's functions, each device holding all parameters; as `load` for the devices."""
    mesh = sharding.make_mesh(
        sharding.MeshConfig(data=-1, fsdp=1), jax.local_devices() if devices is None else devices
    )
    tree = traverse_util.unflatten_dict(params, sep="/")
    placed = jax.device_put(tree, sharding.replicated(mesh))
    return Encoder(sharding.batch_sharding(mesh), parameters.graph_definition(config), placed)


def _fingerprint(document: dict[str, Any]) -> str:
    files = [document["files"][name]["sha256"] for name in (folder.CONFIG, folder.TENSORS)]
    return hashlib.sha256(" ".join(files).encode()).hexdigest()
