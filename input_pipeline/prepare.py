"""Decodes videos once, in worker processes, into a store of evenly spaced JPEG frames."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from tqdm import tqdm

from input_pipeline.store import StoreWriter
from input_pipeline.video import read_frames

# What is kept of a video. Whoever caches a store makes these part of its name.
NUM_FRAMES, SHORT_SIDE, QUALITY = 16, 256, 90


class Video(NamedTuple):
    """A file to prepare; `id` is its name in the store."""

    id: str
    path: Path
    captions: list[str]


class Encoded(NamedTuple):
    """What a worker makes of a video: frames as JPEG, all of one size in pixels."""

    frames: list[bytes]
    width: int
    height: int


def prepare_videos(videos: Sequence[Video], directory: Path, quarantine: Path, source: str) -> None:
    """Writes the store `directory` of all videos that can be decoded, in their order.

    The others go to `quarantine`, with the reason. A decoder that crashes costs its one file.
    Raises FileExistsError where the store is already there.
    """
    bad: dict[str, str] = {}
    waiting: dict[int, Encoded | str] = {}
    done = 0
    with (
        StoreWriter(directory, source) as writer,
        tqdm(total=len(videos), desc=f"preparing {source}", unit="video", disable=None) as progress,
    ):
        for number, result in _encode_all([os.fspath(video.path) for video in videos]):
            progress.update()
            waiting[number] = result
            while done in waiting:
                video, result = videos[done], waiting.pop(done)
                done += 1
                if isinstance(result, str):
                    bad[video.id] = result
                else:
                    writer.add(video.id, result.frames, video.captions, result.width, result.height)
        write_quarantine(quarantine, bad)


def encode_video(path: str) -> Encoded:
    """NUM_FRAMES evenly spaced frames, shrunk to SHORT_SIDE where larger.

    Raises what `video.read_frames` does.
    """
    encoded = []
    for frame in read_frames(path, NUM_FRAMES):
        image = Image.fromarray(frame)
        shrink = SHORT_SIDE / min(image.size)
        if shrink < 1:
            width, height = (max(SHORT_SIDE, round(side * shrink)) for side in image.size)
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY)
        encoded.append(buffer.getvalue())
    return Encoded(encoded, *image.size)


def write_quarantine(path: Path, bad: dict[str, str]) -> None:
    """Writes {file: reason} as JSON lines {"file", "reason"}; an empty file says all are good."""
    lines = [json.dumps({"file": f, "reason": r}, ensure_ascii=False) for f, r in bad.items()]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    os.replace(temporary, path)


@dataclass
class _Worker:
    """A process that encodes one path after the other, and the number of the one it is at."""

    process: Any
    pipe: connection.Connection
    started: bool = False
    number: int = -1


def _encode_all(paths: Sequence[str]) -> Iterator[tuple[int, Encoded | str]]:
    """(number of a path, what it became or why it could not), in the order they are finished."""
    todo = iter(enumerate(paths))
    workers = [_start() for _ in range(min(len(paths), os.cpu_count() or 1))]
    try:
        while workers:
            ready = connection.wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                try:
                    result = worker.pipe.recv()
                except (EOFError, OSError):
                    yield worker.number, _crash(worker)
                    workers[workers.index(worker)] = _start()
                    continue
                if worker.started:
                    yield worker.number, result
                worker.started = True
                worker.number, path = next(todo, (-1, None))
                # A worker that is gone is found by the next wait.
                with contextlib.suppress(OSError):
                    worker.pipe.send(path)
                if path is None:
                    worker.process.join()
                    workers.remove(worker)
    finally:
        for worker in workers:
            worker.process.terminate()
            worker.process.join()


def _start() -> _Worker:
    # Spawned, not forked: TensorFlow and JAX have threads, and a fork of those can hang.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, encode_video), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(pipe: connection.Connection, encode: Callable[[str], Encoded]) -> None:
    """A worker's life: says that it is up, then answers each path until None or its parent ends."""
    try:
        pipe.send(None)
        while (path := pipe.recv()) is not None:
            try:
                answer: Encoded | str = encode(path)
            except Exception as error:  # Whatever a broken file causes, it is that file's fault.
                answer = str(error) or type(error).__name__
            pipe.send(answer)
    except (EOFError, BrokenPipeError):
        return


def _crash(worker: _Worker) -> str:
    worker.process.join()
    code = worker.process.exitcode
    if not worker.started:
        raise RuntimeError(
            f"a process for decoding videos ended at its start (exit code {code}); a script that "
            'prepares videos needs its calls under if __name__ == "__main__":'
        )
    return f"the decoder crashed (exit code {code})"
