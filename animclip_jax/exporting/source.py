"""What is exported: a run's best or newest step, or a folder of `animclip convert` or `export`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util

from animclip_jax import api, settings, sharding
from animclip_jax.models import towers
from animclip_jax.models.clip import ClipConfig
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.runs import layout, run_config
from animclip_jax.training.checkpoint import load_params
from animclip_jax.weights import folder, vocabulary
from input_pipeline import baked
from input_pipeline.tokenizers import siglip

_RESIZED = {
    towers.SHORTEST: "short side to image_size, {} {} anti-aliasing, then centre crop",
    towers.SQUASH: "both sides to image_size, {} {} anti-aliasing",
}


class Source(NamedTuple):
    """A model outside of its run.

    params: by slash-joined path, of what `config` is of. num_frames: of a video. origin: what a
    manifest says of where the parameters are from.
    """

    params: dict[str, np.ndarray]
    config: ClipConfig | RetrieverConfig
    num_frames: int
    origin: dict[str, Any]


def read(directory: Path) -> Source:
    """Raises OSError or ValueError where it is neither, or can't be read; names the file."""
    if (directory / folder.TENSORS).is_file():
        params, config = folder.load(directory)
        return Source(params, config, api.whole_config(config).num_frames, _origin(directory))
    config = settings.retriever(settings.of_run(directory))
    mesh = sharding.make_mesh(sharding.MeshConfig(data=1, fsdp=1), jax.local_devices()[:1])
    steps, tree = load_params(directory, mesh, config)
    origin: dict[str, Any] = {"steps": steps, "trained_on": _trained_on(directory)}
    if bases := _bases(directory):
        origin["base_weights"] = bases
    params = traverse_util.flatten_dict(jax.device_get(tree), sep="/")
    return Source(params, config, config.num_frames, origin)


def _trained_on(directory: Path) -> list[str]:
    """The sources that a run has seen, and those before it, which it began with.

    Of baked batches the source that they were made of, where their folder says so.
    """
    found: set[str] = set()
    for here in _lineage(directory):
        is_run = not (here / folder.TENSORS).is_file() and (here / layout.CONFIG).is_file()
        if is_run:
            found.add(baked.made_of(run_config.read(here)["data"]["train"]))
        else:
            found |= set(_seen_by(here))
    return sorted(found)


def _bases(directory: Path) -> list[str]:
    """The published weights that it all began with, as OWNER/NAME@COMMIT."""
    found: set[str] = set()
    for here in _lineage(directory):
        if (here / folder.TENSORS).is_file():
            found |= set(_origin(here).get("base_weights", []))
    return sorted(found)


def _origin(directory: Path) -> dict[str, Any]:
    """What a folder of ours says of its origin, as a manifest has it."""
    origin = folder.origin(directory)
    if "repository" in origin:
        return {"base_weights": [f"{origin['repository']}@{origin['commit']}"]}
    return origin


def _lineage(directory: Path) -> Iterator[Path]:
    """The folder, and those of the runs and the models that it began with."""
    visited: set[Path] = set()
    ahead = [directory]
    while ahead:
        if (here := ahead.pop()) in visited:
            continue
        visited.add(here)
        yield here
        if not (here / folder.TENSORS).is_file() and (here / layout.CONFIG).is_file():
            config = run_config.read(here)
            begun = config["init_from"], config.get("init_towers_from")
            ahead += [Path(os.path.expanduser(one)) for one in begun if one]


def _seen_by(directory: Path) -> list[str]:
    """What the parameters of a folder have seen; what that is not known of is one source."""
    return folder.origin(directory).get("trained_on", [directory.name])


def _tokens(clip: ClipConfig) -> dict[str, Any]:
    """Which ids a caption has beside its words, and where those of the words are from."""
    if (kind := clip.towers.tokenizer) == towers.CLIP.tokenizer:
        end = clip.vocab_size - 1
        made_by = "OpenAI CLIP's byte-pair encoding"
        return {"tokenizer": made_by, "start": end - 1, "end": end, "padding": 0}
    ids = {"end": siglip.END, "padding": siglip.FAMILIES[kind].padding}
    return {"tokenizer": kind, "file": vocabulary.name(clip.tokenizer)} | ids


def dual_encoders(source: Source) -> Source:
    """The two towers alone, computed in float32; what is left out is said of the origin."""
    params, config = folder.dual_encoders(source.params, source.config)
    config = dataclasses.replace(config, dtype="float32")
    if isinstance(source.config, ClipConfig):
        return source._replace(config=config)
    origin = source.origin | {"left_out": folder.left_out(source.params, source.config)}
    return Source(params, config, source.num_frames, origin)


def left_out_in_words(left: Sequence[str], reason: str = "") -> str:
    """The line that a command prints of parts that it left out, by default for the format."""
    reason = reason or f"the format can't hold {'it' if len(left) == 1 else 'them'}"
    return f"left out, because {reason}: {', '.join(left)}"


def describe(source: Source) -> dict[str, Any]:
    """What a manifest says of the model, whatever the format."""
    config = api.whole_config(source.config, source.num_frames)
    clip, whole = config.clip, isinstance(source.config, RetrieverConfig)
    pixels = clip.towers.pixels
    filtered = pixels.interpolation, "with" if pixels.antialias else "without"
    return {
        "origin": source.origin,
        "reranks": whole,
        "config": folder.describe(config if whole else clip),
        "frames": {
            "dtype": "uint8",
            "shape": ["batch", config.num_frames, clip.image_size, clip.image_size, 3],
            "range": [0, 255],
            "channels": "RGB",
            "chosen": "the middle frame of each of num_frames equal parts of the video's duration",
            "resized": _RESIZED[pixels.resize].format(*filtered),
            "mean": pixels.mean,
            "std": pixels.std,
        },
        "tokens": {
            "dtype": "int32",
            "shape": ["batch", clip.context_length],
            "range": [0, clip.vocab_size - 1],
            **_tokens(clip),
        },
    }
