"""`animclip export SOURCE --out DIR`: a trained model in a form that others read.

SOURCE is the folder of a run (its newest checkpoint is taken), or a folder written by `animclip
convert` or by `animclip export` itself (--format=safetensors).
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util

from animclip_jax import exported, manifest, runs, settings, sharding
from animclip_jax.checkpoint import load_params
from animclip_jax.exporting import example
from animclip_jax.exporting.example import Arrays
from animclip_jax.models.clip import PIXEL_MEAN, PIXEL_STD, ClipConfig
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.new_folder import new_folder, require_new
from animclip_jax.weights import folder


class Source(NamedTuple):
    """What is exported: parameters by slash-joined path, what they are of, where they are from."""

    params: Arrays
    config: ClipConfig | RetrieverConfig
    origin: dict[str, Any]


def read(directory: Path) -> Source:
    """The newest checkpoint of a run, or a model's folder.

    Raises:
      OSError, ValueError: it is neither, or can't be read; names the file.
    """
    if (directory / folder.TENSORS).is_file():
        if (directory / manifest.MANIFEST).is_file():
            origin = manifest.check(directory, exported.KIND)["origin"]
        else:
            origin = {}
        return Source(*folder.load(directory), origin)
    run = runs.read_config(directory)
    mesh = sharding.make_mesh(sharding.MeshConfig(data=1, fsdp=1), chosen=jax.local_devices()[:1])
    steps, params = load_params(directory, mesh)
    flat = traverse_util.flatten_dict(jax.device_get(params), sep="/")
    return Source(flat, settings.retriever(run), {"steps": steps})


def export(source: Source, out: Path) -> None:
    """Writes a folder, whole or not at all, when what it holds computes what the model does.

    Raises:
      FileExistsError: it is there already. ValueError: it does not compute the same.
    """
    with new_folder(out) as temporary:
        params, config = exported.whole_model(source.params, source.config)
        given = example.inputs(config)
        wanted = example.outputs(params, config, given)
        folder.write(temporary, source.params, source.config)
        manifest.write(temporary, exported.KIND, contents(source, config))
        again = exported.load(temporary, jax.local_devices()[:1])
        text = again.encoder.encode_text(given["tokens"])
        video = again.encoder.encode_video(given["frames"], example.ITEMS)
        scores = again.encoder.fused_scores(text, video, None, None)
        found = example.text_arrays(text) | example.video_arrays(video)
        example.compare(found | {"scores": np.asarray(scores)}, wanted, config)


def contents(source: Source, config: RetrieverConfig) -> dict[str, Any]:
    """What a manifest says of the model, whatever the format."""
    return {
        "origin": source.origin,
        "reranks": isinstance(source.config, RetrieverConfig),
        "config": dataclasses.asdict(config),
        "frames": {
            "dtype": "uint8",
            "shape": ["batch", config.num_frames, *[config.clip.image_size] * 2, 3],
            "channels": "RGB",
            "range": [0, 255],
            "chosen": "the middle frame of each of num_frames equal parts of the video's duration",
            "resized": "short side to image_size, bicubic with anti-aliasing, then centre crop",
            "mean": PIXEL_MEAN,
            "std": PIXEL_STD,
            "normalized": "(frames / 255 - mean) / std, by the model",
        },
        "tokens": {
            "tokenizer": "openai-clip",
            "vocab_size": config.clip.vocab_size,
            "context_length": config.clip.context_length,
            "start": config.clip.vocab_size - 2,
            "end": config.clip.vocab_size - 1,
            "padding": 0,
        },
    }


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 after saying on stderr what is wrong."""
    parser = argparse.ArgumentParser(prog="animclip export", description=__doc__)
    parser.add_argument("source", type=Path, help="a run, or a folder of animclip convert")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write, a new one")
    parser.add_argument(
        "--format", default="safetensors", choices=["safetensors"], help="what to write"
    )
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    try:
        require_new(options.out)
        export(read(options.source), options.out)
    except (OSError, ValueError) as error:
        print(f"animclip export: {error}", file=sys.stderr)
        return 1
    print(options.out)
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    """SIGTERM as an exception, so that nothing half-written stays."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
