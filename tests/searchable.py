"""Small models and folders of videos that tests of index, search and serve share."""

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util

from animclip_jax import api
from animclip_jax.models.retriever import Retriever
from animclip_jax.models.video_code import PackedCode
from animclip_jax.video_index import catalogue as catalogues
from animclip_jax.video_index.effort import Effort
from animclip_jax.video_index.reader import Index
from animclip_jax.video_index.summary import Summary
from animclip_jax.video_index.update import update
from animclip_jax.weights import folder, manifest
from input_pipeline.media.segments import SegmentSettings
from input_pipeline.media.video import write_video
from input_pipeline.media.workers import Limits
from tests.small_model import CONFIG

EFFORT = Effort(batch_size=4, processes=2, limits=Limits(seconds=60))
RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 190, 40), (30, 50, 220), (128, 128, 128)


def write_model(directory: Path, seed: int = 0, origin: dict | None = None) -> Path:
    """A model of random weights that re-ranks, as animclip export writes it.

    origin: what its manifest says of where the weights are from.
    """
    model = Retriever(CONFIG, rngs=nnx.Rngs(seed))
    reranker: Any = model.reranker
    reranker.head_out.kernel[...] = 9 * jax.random.normal(jax.random.key(seed), (24, 1))
    directory.mkdir(parents=True)
    folder.write(directory, _parameters(model), CONFIG)
    manifest.write(directory, folder.KIND, {"origin": origin} if origin else {})
    return directory


def write_converted(directory: Path, **changed: Any) -> Path:
    """Dual encoders alone, as animclip convert writes them.

    changed: fields of their configuration.
    """
    clip = dataclasses.replace(CONFIG.clip, **changed)
    model = Retriever(dataclasses.replace(CONFIG, clip=clip), rngs=nnx.Rngs(0))
    folder.save(directory, _parameters(model.clip), clip)
    return directory


def _parameters(model: nnx.Module) -> dict[str, np.ndarray]:
    tree = jax.device_get(nnx.to_pure_dict(nnx.state(model)))
    return traverse_util.flatten_dict(tree, sep="/")


def settings_of(model: api.Model) -> SegmentSettings:
    return SegmentSettings(model.config.num_frames, model.config.clip.image_size)


def index(videos: Path, out: Path, model: api.Model, path: Path) -> Summary:
    return update(out, videos, model, path, settings_of(model), EFFORT)


def copied(index: Path, home: Path) -> Path:
    """An index and its videos, copied into a folder, with their times."""
    shutil.copytree(index.parent, home)
    catalogue = catalogues.read(home / "index")
    catalogue.root = str((home / "videos").resolve())
    catalogues.write(home / "index", catalogue)
    return home / "index"


def bytes_of(index: Path) -> dict[str, bytes]:
    """All files of an index, by their paths below it."""
    paths = (path for path in index.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(index).as_posix(): path.read_bytes() for path in paths}


def contents(directory: Path) -> dict[tuple[str, float], tuple]:
    """Everything an index tells, by video and start, wherever it is kept."""
    index = Index(directory)
    features = index.features(np.arange(len(index)))
    code = features.code
    assert isinstance(code, PackedCode) and code.scales is not None
    return {
        (index.names[n], index.times[n, 0]): (
            index.times[n, 1],
            features.embedding[n].tobytes(),
            np.asarray(code.values[n]).tobytes(),
            np.asarray(code.scales[n]).tobytes(),
            index.thumbnail(n),
        )
        for n in range(len(index))
    }


def moment(name: str, number: int = 0) -> str:
    """The id of a segment of the video of that name."""
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}-{number}"


def shot(colour: tuple[int, int, int], count: int, seed: int = 0) -> np.ndarray:
    """Frames of one colour, with a white block that travels over them."""
    frames = np.full((count, 48, 64, 3), colour, np.uint8)
    row = np.random.default_rng(seed).integers(0, 32)
    for number, frame in enumerate(frames):
        column = number * 48 // count
        frame[row : row + 16, column : column + 16] = 250
    return frames


def write_videos(directory: Path) -> Path:
    """Five videos: of one segment, of two shots, of three windows, in a folder below, odd name."""
    (directory / "below").mkdir(parents=True)
    write_video(directory / "red.mp4", shot(RED, 16), 8)
    write_video(directory / "shots.mp4", np.concatenate([shot(GREEN, 20), shot(BLUE, 28)]), 8)
    write_video(directory / "long.mp4", shot(GREY, 100), 4)
    write_video(directory / "below" / "blue.gif", shot(BLUE, 10, seed=3), 5)
    write_video(directory / "<b>é 'x'&.mp4", shot((200, 200, 30), 12), 6)
    return directory
