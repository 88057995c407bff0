"""An index of random segments with a ViT-B/32 of random weights, to time searches on.

    python -m benchmarks.random_index FOLDER [--segments 100000]

Writes FOLDER/model and FOLDER/index: 17 KB a segment. A video has ten segments, and no video exists
as a file: `animclip serve FOLDER/index` searches but plays nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jax
import numpy as np
from flax import traverse_util

from animclip_jax import api, files
from animclip_jax.models import parameters
from animclip_jax.models.presets import PRESETS, RERANKERS
from animclip_jax.models.retriever import RetrieverConfig
from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index import catalogue, shards
from animclip_jax.weights import folder, manifest

SEGMENTS_A_VIDEO, FRAMES = 10, 12
# The version of a model that older checkouts read too, and what such a model and its towers say.
OLDEST = 1
OLDEST_MODEL = ("clip", "reranker", "num_frames", "temporal")
OLDEST_CLIP = (
    *("image_size", "patch_size", "vision", "text", "context_length", "vocab_size", "embed_dim"),
    *("activation", "dtype", "remat"),
)


def write_model(directory: Path) -> None:
    """A whole model of random weights that re-ranks, in the format that every checkout reads."""
    config = RetrieverConfig(PRESETS["vit_b32"], RERANKERS["vit_b32"], FRAMES)
    params = parameters.draw(config, 0)
    params["reranker"]["head_out"]["kernel"] += 1.0
    flat = traverse_util.flatten_dict(jax.device_get(params), sep="/")
    directory.mkdir()
    fields = {name: folder.describe(config)[name] for name in OLDEST_MODEL}
    fields["clip"] = {name: fields["clip"][name] for name in OLDEST_CLIP}
    files.write_json(
        directory / folder.CONFIG, {"format": folder.FORMAT, "version": OLDEST} | fields
    )
    folder.write_tensors(directory / folder.TENSORS, flat)
    manifest.write(directory, folder.KIND, {})


def write_index(directory: Path, model: Path, segments: int) -> None:
    """So many segments of random features."""
    loaded = api.load(model)
    width = loaded.config.clip.embed_dim
    random = np.random.default_rng(0)

    def part(count: int) -> shards.Rows:
        embedding = random.standard_normal((count, width), np.float32)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        shape = (count, loaded.config.code_tokens, loaded.config.reranker.code_width)
        values = np.frombuffer(random.bytes(int(np.prod(shape))), np.int8).reshape(shape)
        code = PackedCode(values, np.full(shape[:2], 1 / 64, np.float16))
        times = np.tile([0.0, 10.0], (count, 1))
        return shards.Rows(embedding, code, times, [b"x"] * count)

    sizes = [min(10_000, segments - start) for start in range(0, segments, 10_000)]
    shards.write(directory, "00000000", segments, map(part, sizes))
    videos = [
        (f"{first:08}.mp4", [[0, 0], "00000000", first, min(SEGMENTS_A_VIDEO, segments - first)])
        for first in range(0, segments, SEGMENTS_A_VIDEO)
    ]
    # No more fields than older checkouts know; benchmarks/query.py changes the version alone.
    document = {
        "format": catalogue.FORMAT,
        "version": catalogue.VERSION,
        "root": str(directory),
        "model": loaded.fingerprint,
        "model_path": str(model),
        "reranks": True,
        "code_dtype": loaded.config.reranker.code_dtype,
        "settings": {"num_frames": FRAMES, "image_size": loaded.config.clip.image_size},
        "videos": dict(videos),
        "quarantined": {},
    }
    files.write_json(directory / catalogue.CATALOGUE, document)


def main(argv: list[str] | None = None) -> int:
    """Writes both, and prints the command that serves them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a folder that does not exist")
    parser.add_argument("--segments", type=int, default=100_000)
    options = parser.parse_args(argv)
    if options.folder.exists():
        parser.error(f"{options.folder} exists: name a folder that does not")
    options.folder.mkdir(parents=True)
    model, index = options.folder / "model", options.folder / "index"
    write_model(model)
    write_index(index, model, options.segments)
    print(f"animclip serve {index}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
