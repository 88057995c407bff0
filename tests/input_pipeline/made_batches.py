"""Pictures and videos as examples, and the batches that training makes of them."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from animclip_jax.animation.batch import Filmed
from animclip_jax.animation.config import AnimationConfig
from input_pipeline import batches
from input_pipeline.examples import BatchConfig, Examples
from input_pipeline.store import records
from tests.input_pipeline import pictures

ANIMATION = AnimationConfig(num_frames=4, image_size=32)
NUM_PICTURES, BATCH = 24, 8


def write_picture(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path, quality=95)


CONFIG = BatchConfig(
    ANIMATION, batch_size=BATCH, seed=1, canvas_size=48, context_length=16, vocab_size=1000
)


def train(
    examples: Examples,
    animation: AnimationConfig = ANIMATION,
    *,
    steps: int = 4,
    start_step: int = 0,
    process: tuple[int, int] = (0, 1),
    **changes: Any,
) -> list[Any]:
    """The batches of some steps, or a process's part of them: (which, of how many)."""
    config = dataclasses.replace(CONFIG, animation=animation, **changes)
    index, count = process
    made = batches.train_batches(
        examples, config, start_step=start_step, process_index=index, process_count=count
    )
    return list(itertools.islice(made, steps))


def same(ours: list[Filmed], theirs: list[Filmed]) -> bool:
    return len(ours) == len(theirs) and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for x, y in zip(ours, theirs, strict=True)
        for a, b in zip(tf.nest.flatten(x), tf.nest.flatten(y), strict=True)
    )


def joined(parts: list[list[Filmed]]) -> list[Filmed]:
    """The batches of which each process made a part."""
    return [
        tf.nest.map_structure(lambda *rows: np.concatenate(rows), *pieces)
        for pieces in zip(*parts, strict=True)
    ]


def videos(tmp_path: Path, lengths: list[int]) -> Examples:
    """A store of videos whose frame n is grey of level 10 x n."""
    with records.StoreWriter(tmp_path / "videos", "test") as writer:
        for number, length in enumerate(lengths):
            greys = [np.full((40, 60, 3), 10 * n, np.uint8) for n in range(length)]
            frames = [pictures.encode("RGB", "JPEG", grey, quality=95) for grey in greys]
            writer.add(f"v{number}", frames, ["x"], 60, 40)
    index = records.read_index(tmp_path / "videos")
    offsets = tf.constant([line["offset"] for line in index], tf.int64)
    fetch = records.fetch_record(tmp_path / "videos")
    ids, captions = [line["id"] for line in index], [line["captions"] for line in index]
    sizes, upright = np.full((len(ids), 2), (40, 60), np.int32), np.ones(len(ids), np.uint8)
    return Examples(
        "videos", ids, captions, lambda n: fetch(offsets[n]), True, sizes, upright, quarantine=None
    )
