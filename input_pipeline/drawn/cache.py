"""Draws a split of the drawn world into a prepared store, once, with all cores."""

import collections
import os
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from animclip_jax import files
from input_pipeline.drawn.captions import Caption, is_true, write
from input_pipeline.drawn.raster import still, video
from input_pipeline.drawn.scene import SPLITS, WORLD_VERSION, scene
from input_pipeline.drawn.things import Scene
from input_pipeline.examples import TOLD, Told
from input_pipeline.media.workers import cores, hidden_main

DEFAULT_COUNTS = {"train": 8192, "val": 600, "test": 600, "finetune": 1024}
CAPTIONS_STORED = {"train": 5, "val": 3, "test": 3, "finetune": 3}
JPEG_QUALITY = 90
CHUNK = 32  # scenes a worker draws at a time

# What a store takes: id, JPEG frames, captions, width, height, what else is known.
Drawn = tuple[str, list[bytes], list[str], int, int, dict[str, list[Told]]]


def prepared(split: str, count: int | None, cache_dir: str | os.PathLike[str]) -> Path:
    """The store with scenes 0 to count - 1 of a split: stills in "train", videos in the others.

    It is drawn into `cache_dir` on first use. `count` None stands for DEFAULT_COUNTS. Raises
    ValueError for another split or a count below 1.
    """
    if split not in SPLITS:
        raise ValueError(f"drawn world: split {split!r} is none of {', '.join(SPLITS)}")
    count = DEFAULT_COUNTS[split] if count is None else count
    if count < 1:
        raise ValueError(f"drawn:{split}:{count}: the count must be 1 or more")
    directory = Path(cache_dir) / f"drawn-v{WORLD_VERSION}-{split}-{count}"
    if not directory.exists():
        lock = directory.with_name(f".{directory.name}.drawing")
        with files.locked(lock, f"{directory}: another process draws it", wait=True):
            try:
                if not directory.exists():
                    _write(directory, split, count)
            finally:
                lock.unlink()  # Who waits for it finds it gone, and makes another.
    return directory


def _write(directory: Path, split: str, count: int) -> None:
    from input_pipeline.store.records import StoreWriter  # here: drawing needs no TensorFlow

    starts = range(0, count, CHUNK)
    workers = min(len(starts), cores())
    with (
        StoreWriter(directory, f"drawn:{split}:{count}") as store,
        ProcessPoolExecutor(workers, get_context("spawn")) as pool,
        tqdm(total=count, desc=f"drawing {split}", unit="scene", disable=None) as bar,
    ):
        with hidden_main():
            chunks = collections.deque(
                pool.submit(draw, split, start, min(start + CHUNK, count)) for start in starts
            )
        try:
            while chunks:  # None is kept once it is stored.
                for item in chunks.popleft().result():
                    store.add(*item)
                    bar.update()
        finally:
            pool.shutdown(cancel_futures=True)


def draw(split: str, start: int, stop: int) -> list[Drawn]:
    drawn = []
    for index in range(start, stop):
        at = scene(split, index)
        frames = still(at)[None] if split == "train" else video(at)
        written = write(at, CAPTIONS_STORED[split])
        told = {TOLD: [_told(at, caption) for caption in written]}
        height, width = frames.shape[1:3]
        encoded = [_jpeg(frame) for frame in frames]
        captions = [caption.text for caption in written]
        drawn.append((_name(split, index), encoded, captions, width, height, told))
    return drawn


def _name(split: str, index: int) -> str:
    return f"drawn-{split}-{index:06d}"


def _told(at: Scene, caption: Caption) -> Told:
    """What is known of a caption of a scene: of which other one it is false, and why."""
    if at.sibling is None or is_true(caption, scene(at.split, at.sibling)):
        return Told(caption.names_motion)
    return Told(caption.names_motion, _name(at.split, at.sibling), at.differs or "")


def _jpeg(picture: np.ndarray) -> bytes:
    """picture: uint8 [H, W, 3]."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
