"""Files -> what an index keeps of them, in processes of this machine and with the model here.

`embedding_on_ray.py` does the same on a cluster.
"""

from __future__ import annotations

import functools
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from animclip_jax import files
from animclip_jax.api import Model
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.retrieval import placement
from animclip_jax.video_index.effort import BATCH_SIZE, ON_CPU, Effort
from input_pipeline.media import workers
from input_pipeline.media.indexing import Read, Source, Task, read_file
from input_pipeline.media.segments import SegmentSettings, frames_of

# What is read is embedded and kept after so many seconds, also where that fills no batch.
FLUSH_SECONDS = 30.0
# Folders of frames in an index; those of runs that were killed are removed.
SPOOL = "frames."


class Embedded(NamedTuple):
    """A file's segments, and their features as NumPy arrays, [S, ...]."""

    read: Read
    features: VideoFeatures


@dataclass(frozen=True)
class Job:
    """What to embed, and with what.

    model_path: where the model is, for processes that load it themselves. directory: of the index.
    """

    sources: Sequence[Source]
    model: Model
    model_path: Path
    settings: SegmentSettings
    effort: Effort
    directory: Path


def embed(job: Job) -> Iterator[tuple[int, Embedded | workers.Failure]]:
    """(number of a source, what is kept of it or why it can't be read), in any order.

    Segments of several files are encoded together, in batches of one size: what is computed of a
    segment depends on the size of its batch, and on nothing else in it.

    Raises as `workers.run`.
    """
    effort = job.effort
    # Decoders of a run that was killed may still be at work: its folder is another one.
    spool = job.directory / f"{SPOOL}{os.getpid()}"
    with files.writing(spool):
        spool.mkdir()
    tasks = (Task(one.path, spool / str(n), one.subtitles) for n, one in enumerate(job.sources))
    read = functools.partial(read_file, settings=job.settings)
    processes = min(effort.processes or effort.engine.at_once(), len(job.sources))
    batches = _Batches(job.model, batch_size(effort, job.model))
    for number, result in effort.engine.run(read, tasks, processes, effort.limits):
        if isinstance(result, workers.Failure):
            yield number, result
        else:
            frames = frames_of(spool / str(number), job.settings)
            yield from batches.add(number, result, frames)
        (spool / str(number)).unlink(missing_ok=True)
    yield from batches.finish()


def batch_size(effort: Effort, model: Model) -> int:
    """Segments that a model here encodes at once: a multiple of its devices."""
    parts, is_cpu = model.encoder.num_parts, placement.platform(model.encoder.split) == "cpu"
    return -(-(effort.batch_size or (ON_CPU if is_cpu else BATCH_SIZE)) // parts) * parts


def encode(model: Model, frames: Sequence[np.ndarray], size: int) -> VideoFeatures:
    """Features of 1 to `size` segments, each uint8 [T, H, W, 3], as NumPy arrays."""
    batch = np.zeros((size, *frames[0].shape), np.uint8)
    batch[: len(frames)] = frames
    features = model.encoder.encode_video(batch, size)
    return jax.tree.map(lambda x: np.asarray(x)[: len(frames)], features)


def joined(parts: Sequence[VideoFeatures]) -> VideoFeatures:
    """Features of all segments, in order."""
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)


class _Batches:
    """Files in the order they were read, and their segments that wait for a full batch."""

    def __init__(self, model: Model, size: int):
        self.model, self.size = model, size
        self.read: deque[tuple[int, Read]] = deque()
        self.frames: list[np.ndarray] = []
        # Of segments of the first files, in order.
        self.features: list[VideoFeatures] = []
        self.since = time.monotonic()

    def add(self, number: int, read: Read, frames: np.ndarray) -> Iterator[tuple[int, Embedded]]:
        """Takes a file; gives those of which all segments are encoded."""
        self.read.append((number, read))
        for start in range(0, len(frames), self.size):
            self.frames += list(frames[start : start + self.size])
            if len(self.frames) >= self.size:
                self._encode()
        # A memory-mapped file that is removed lives on; what is left of it is few frames.
        self.frames = [np.array(one) for one in self.frames]
        if time.monotonic() - self.since > FLUSH_SECONDS:
            yield from self.finish()
        yield from self._done()

    def finish(self) -> Iterator[tuple[int, Embedded]]:
        """Gives all files."""
        while self.frames:
            self._encode()
        yield from self._done()

    def _encode(self) -> None:
        self.features.append(encode(self.model, self.frames[: self.size], self.size))
        del self.frames[: self.size]

    def _done(self) -> Iterator[tuple[int, Embedded]]:
        rows = sum(len(one.embedding) for one in self.features)
        if not self.read or len(self.read[0][1].segments) > rows:
            return
        features, first = joined(self.features), 0
        while self.read and (last := first + len(self.read[0][1].segments)) <= rows:
            number, read = self.read.popleft()
            yield number, Embedded(read, _rows(features, first, last))
            first = last
        self.features = [_rows(features, first, rows)] if first < rows else []
        self.since = time.monotonic()


def _rows(features: VideoFeatures, first: int, last: int) -> VideoFeatures:
    return jax.tree.map(lambda x: x[first:last], features)
