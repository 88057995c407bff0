"""As `embedding.embed`, on a Ray cluster: workers read files, actors that hold the model encode.

Frames go from worker to actor through Ray's object store, and not through this process, which
keeps the order of things: which file is where, and which segments make a batch. What a worker, an
actor or a node that dies had in its hands begins again elsewhere.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from animclip_jax import api
from animclip_jax.models.retriever import VideoFeatures
from animclip_jax.video_index import embedding
from animclip_jax.video_index.effort import BATCH_SIZE, ON_CPU
from animclip_jax.video_index.embedding import Embedded, Job
from input_pipeline.media import on_ray
from input_pipeline.media.indexing import Read, read_file
from input_pipeline.media.workers import Failure

# Batches that an actor has, and that wait for each actor; and parts of a file that its reader is
# ahead. Readers wait when there are more, so that long videos don't fill the cluster's memory.
AT_ONCE, WAITING, AHEAD = 2, 4, 8
# Actors that may die one after the other before the cluster is taken for one that can't encode.
DEATHS = 10


@dataclass(eq=False)
class _File:
    """A file that is being read or encoded: a task, what it found, features of its parts."""

    number: int
    task: Any
    read: Read | None = None
    sizes: list[int] = field(default_factory=list)
    taken: int = 0
    parts: dict[int, VideoFeatures] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """Segments of a file that are read, as Ray's reference to their frames."""

    file: _File
    place: int
    frames: Any
    size: int


def embed(job: Job) -> Iterator[tuple[int, Embedded | Failure]]:
    """As `embedding.embed`; files and the model must be where all nodes see them.

    Raises:
      ValueError: a node finds no model or another one, or not a file that is here; or there is
        none. RuntimeError: actors die again and again.
    """
    return _Embedding(job).run()


class _Encoder:
    """An actor with the model."""

    def __init__(self, path: Path, size: int):
        self.path, self.size = path, size

    @functools.cached_property
    def model(self) -> api.Model:
        return api.load(self.path)

    def fingerprint(self) -> str:
        return self.model.fingerprint

    def encode(self, *parts: Any) -> VideoFeatures:
        frames = [segment for part in parts for segment in part]
        return embedding.encode(self.model, frames, self.size)


# Ray's options for an actor: where it runs, and what it takes there.
Options = dict[str, Any]
_ON_A_GPU: Options = {"num_cpus": 0, "num_gpus": 1}


def _on_each_node() -> list[Options]:
    """Places of actors that share the cores of a node with the readers there."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    nodes = [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU")]
    return [{"num_cpus": 0, "scheduling_strategy": On(one["NodeID"], soft=True)} for one in nodes]


class _Embedding:
    """The state of one job."""

    def __init__(self, job: Job):
        import ray

        self.ray, self.job = ray, job
        self.gpus = int(ray.cluster_resources().get("GPU", 0))
        self.places = [_ON_A_GPU] * self.gpus or _on_each_node()
        if not self.places:
            raise ValueError("no node of the cluster has a core or a GPU")
        self.size = job.effort.batch_size or (BATCH_SIZE if self.gpus else ON_CPU)
        self.at_once = job.effort.processes or job.effort.engine.at_once()
        read = functools.partial(read_file, settings=job.settings)
        self.how = ray.put(on_ray.Reading(read, job.settings, self.size, job.effort.limits))
        options = {"num_returns": "streaming", "num_cpus": 1, "max_retries": 0}
        options["_generator_backpressure_num_objects"] = AHEAD
        self.reader = ray.remote(on_ray.read_in_parts).options(**options)
        self.todo = list(range(len(job.sources)))[::-1]
        self.retried: dict[int, int] = {}
        self.reading: list[_File] = []
        self.files: set[_File] = set()
        self.waiting: list[_Part] = []
        self.since = time.monotonic()
        self.starting: dict[Any, Any] = {}
        self.encoding: dict[Any, tuple[Any, list[_Part]]] = {}
        self.encoders: list[Any] = []
        self.deaths, self.told = 0, False

    def run(self) -> Iterator[tuple[int, Embedded | Failure]]:
        for place in self.places:
            self._start(place)
        while self.todo or self.files:
            while self.todo and len(self.files) < self.at_once:
                self._read()
            self._encode()
            room = len(self.waiting) < WAITING * len(self.places)
            readers = {one.task: one for one in self.reading} if room else {}
            known = [*self.starting, *self.encoding, *readers]
            ready = self._next(known)
            if ready in self.starting:
                self._started(ready)
            elif ready in self.encoding:
                yield from self._encoded(ready)
            else:
                yield from self._was_read(readers[ready])

    def _next(self, known: list[Any]) -> Any:
        """What is ready first; says once what is waited for, where no actor has a place."""
        patience = None if self.encoders or self.told else on_ray.PATIENCE
        ready, _ = self.ray.wait(known, timeout=patience, fetch_local=False)
        if not ready:
            self.told = True
            what = "GPU" if self.gpus else "node"
            print(f"waiting for a free {what} of the cluster, to encode", file=sys.stderr)
            ready, _ = self.ray.wait(known, fetch_local=False)
        return ready[0]

    def _start(self, place: Options) -> None:
        """Starts an actor in a place, or where there is room if that is gone."""
        actor = self.ray.remote(_Encoder).options(**place)
        encoder: Any = actor.remote(self.job.model_path, self.size)
        self.starting[encoder.fingerprint.remote()] = encoder

    def _started(self, ready: Any) -> None:
        encoder = self.starting.pop(ready)
        try:
            found = on_ray.result(ready)
        except on_ray.died() as error:
            self._replace(error)
            return
        except (OSError, ValueError) as error:
            raise ValueError(
                f"a node of the cluster can't load the model: {error}; wanted a folder that all "
                "nodes see under the same path"
            ) from error
        if found != self.job.model.fingerprint:
            raise ValueError(
                f"{self.job.model_path}: a node of the cluster has another model there; wanted a "
                "folder that all nodes see"
            )
        self.encoders.append(encoder)

    def _replace(self, error: Exception) -> None:
        self.deaths += 1
        if self.deaths > DEATHS:
            told = str(error).strip().partition("\n")[0]
            raise RuntimeError(f"{DEATHS} processes that encode died, the last with: {told}")
        self._start(self.places[0])

    def _read(self) -> None:
        number = self.todo.pop()
        file = _File(number, self.reader.remote(self.how, self.job.sources[number]))
        self.reading.append(file)
        self.files.add(file)

    def _was_read(self, file: _File) -> Iterator[tuple[int, Failure]]:
        """Takes the next thing that a task streams: first what it found, then frames."""
        lost: tuple[type[Exception], ...] = (StopIteration, *on_ray.died())
        try:
            given = next(file.task)
            if file.read is not None:
                self._take_frames(file, given)
                return
            found = on_ray.result(given)
        except lost:
            yield from self._begin_again(file)
            return
        except FileNotFoundError:
            found = on_ray.unseen(self.job.sources[file.number].path)
        if isinstance(found, Failure):
            self._forget(file)
            yield file.number, found
            return
        file.read = found
        whole, rest = divmod(len(found.segments), self.size)
        file.sizes = [self.size] * whole + [rest] * bool(rest)

    def _take_frames(self, file: _File, frames: Any) -> None:
        """Lets the next part of a file wait for a batch. frames: Ray's reference to its own."""
        self.waiting.append(_Part(file, file.taken, frames, file.sizes[file.taken]))
        file.taken += 1
        if file.taken == len(file.sizes):
            self.reading.remove(file)

    def _encode(self) -> None:
        """Gives batches to actors: full ones, and others where nothing is to come or for long."""
        late = time.monotonic() - self.since > embedding.FLUSH_SECONDS
        while self.waiting:
            full = sum(part.size for part in self.waiting) >= self.size
            busy = [given[0] for given in self.encoding.values()]
            free = min(self.encoders, key=busy.count, default=None)
            if free is None or busy.count(free) >= AT_ONCE:
                return
            if self.reading and not full and not late:
                return
            chosen: list[_Part] = []
            for part in self.waiting:
                if sum(one.size for one in chosen) + part.size <= self.size:
                    chosen.append(part)
            self.waiting = [part for part in self.waiting if part not in chosen]
            self.since = time.monotonic()
            ready = free.encode.remote(*(part.frames for part in chosen))
            self.encoding[ready] = free, chosen

    def _encoded(self, ready: Any) -> Iterator[tuple[int, Embedded | Failure]]:
        encoder, parts = self.encoding.pop(ready)
        try:
            features = on_ray.result(ready)
        except on_ray.died() as error:
            is_dead = isinstance(error, self.ray.exceptions.RayActorError)
            if is_dead and encoder in self.encoders:
                self.encoders.remove(encoder)
                self._replace(error)
            for file in {part.file for part in parts} & self.files:
                yield from self._begin_again(file, is_to_blame=not is_dead)
            return
        self.deaths, first = 0, 0
        for part in parts:
            rows = slice(first, first + part.size)
            part.file.parts[part.place] = jax.tree.map(lambda x, rows=rows: x[rows], features)
            first += part.size
            if part.file in self.files and len(part.file.parts) == len(part.file.sizes):
                yield self._done(part.file)

    def _done(self, file: _File) -> tuple[int, Embedded]:
        assert file.read is not None
        self._forget(file)
        features = embedding.joined([file.parts[place] for place in sorted(file.parts)])
        return file.number, Embedded(file.read, features)

    def _begin_again(self, file: _File, is_to_blame: bool = True) -> Iterator[tuple[int, Failure]]:
        """Reads a file anew, unless workers have died of it again and again."""
        self._forget(file)
        self.retried[file.number] = self.retried.get(file.number, 0) + is_to_blame
        if self.retried[file.number] > on_ray.RETRIES:
            yield file.number, Failure(on_ray.DIED, later=True)
        else:
            self.todo.append(file.number)

    def _forget(self, file: _File) -> None:
        self.files.discard(file)
        if file in self.reading:
            self.reading.remove(file)
        self.waiting = [part for part in self.waiting if part.file is not file]
