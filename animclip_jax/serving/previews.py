"""Previews and strips of segments: made when they are asked for, each once.

A preview is what browsers play of a video that they can't play; a strip is some of its frames.

Nothing that clients do grows without bound: previews are made in a few processes, with a time and a
memory limit each, a limited number waits for these, and a folder of limited size keeps them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from animclip_jax.serving.shelf import FullError, Shelf
from input_pipeline.media import preview, strip, workers
from input_pipeline.media.clip import Clip
from input_pipeline.media.strip import Strip
from input_pipeline.media.workers import Failure, Limits

LIMITS = Limits(seconds=60.0)
# Previews that are waited for at once.
MAX_MAKING = 32
# Failures that are remembered, and for how long: a disk may have been slow.
MAX_FAILED, FAILED_SECONDS = 1000, 600.0
# A search needs cores, too.
MAX_PROCESSES = 4
BUSY = {"retry-after": "2"}

Found = tuple[Path, os.stat_result]

_logger = logging.getLogger("uvicorn.error")


class _Failed(NamedTuple):
    """Why a preview could not be made, and until when it is not tried again."""

    reason: str
    until: float


@dataclass
class _Making:
    """A preview that is not there yet: what makes it, and how many clients wait for it."""

    task: asyncio.Task[None] | None = None
    has_begun: bool = False
    waiting: int = 0


class Previews:
    """The previews and the strips of a server."""

    def __init__(
        self,
        shelf: Shelf,
        make: Callable[[Any], bytes] = strip.make,
        limits: Limits = LIMITS,
        processes: int | None = None,
    ):
        count = processes or max(1, min(MAX_PROCESSES, workers.cores() // 2))
        self.shelf = shelf
        self.callers = [workers.Caller(make, limits) for _ in range(count)]
        self.idle = [*self.callers]
        self.slots = asyncio.Semaphore(count)
        self.threads = ThreadPoolExecutor(count, "preview")
        self.making: dict[str, _Making] = {}
        self.failed: OrderedDict[str, _Failed] = OrderedDict()

    def close(self) -> None:
        """Ends the processes."""
        for caller in self.callers:
            caller.close()
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def find(self, clip: Clip | Strip, state: os.stat_result, request: Request) -> Found:
        """A preview or a strip, and the state of that file; it is made if it is not there.

        Args:
          state: of the video's file. request: whose client may leave, and then waits no longer.

        Raises HTTPException: 404 where the video can't be shown, 503 where too many are waited for,
        507 where there is no room.
        """
        name = name_of(clip, state)
        found = await run_in_threadpool(self.shelf.find, name)
        if found is None:
            await self._made(name, clip, request)
            found = await run_in_threadpool(self.shelf.find, name)
        if found is None:
            raise HTTPException(503, "the preview was removed meanwhile", BUSY)
        return found

    async def _made(self, name: str, clip: Clip | Strip, request: Request) -> None:
        failed = self.failed.get(name)
        if failed is not None and time.monotonic() < failed.until:
            raise HTTPException(404, failed.reason)
        making = self.making.get(name)
        if making is None:
            if len(self.making) >= MAX_MAKING:
                raise HTTPException(503, "too many previews at once", BUSY)
            making = self.making[name] = _Making()
            making.task = asyncio.create_task(self._make(name, clip, making))
            making.task.add_done_callback(lambda task: self._forget(name, making))
        assert making.task is not None
        making.waiting += 1
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({making.task, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            making.waiting -= 1
            if not making.waiting and not making.has_begun:
                making.task.cancel()
                self._forget(name, making)
        if not making.task.done():
            raise HTTPException(503, "nobody waits for the preview any more")
        making.task.result()

    async def _make(self, name: str, clip: Clip | Strip, making: _Making) -> None:
        async with self.slots:
            making.has_begun = True
            caller = self.idle.pop()
            try:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self.threads, self._write, caller, name, clip)
            finally:
                self.idle.append(caller)

    def _write(self, caller: workers.Caller, name: str, clip: Clip | Strip) -> None:
        try:
            made = caller(clip)
        except (RuntimeError, OSError) as error:
            raise HTTPException(503, f"no preview can be made: {error}", BUSY) from error
        if isinstance(made, Failure):
            reason = f"no preview can be made of it: {made.reason.replace(f'{clip.path}: ', '')}"
            self.failed[name] = _Failed(reason, time.monotonic() + FAILED_SECONDS)
            while len(self.failed) > MAX_FAILED:
                self.failed.popitem(last=False)
            raise HTTPException(404, reason)
        try:
            self.shelf.keep(name, made)
        except FullError as error:
            raise HTTPException(507, f"the preview can't be kept: {error}", BUSY) from error
        except OSError as error:
            _logger.error("a preview can't be kept: %s", error)
            raise HTTPException(507, f"the preview can't be kept: {error.strerror}") from error

    def _forget(self, name: str, making: _Making) -> None:
        if self.making.get(name) is making:
            del self.making[name]
        # So that asyncio does not report it: whoever waited for it has it.
        if making.task is not None and making.task.done() and not making.task.cancelled():
            making.task.exception()


@contextlib.contextmanager
def kept_in(folder: Path | None, gibibytes: float) -> Iterator[Previews | None]:
    """Previews in a folder until the block ends; none where there is no folder."""
    if folder is None:
        yield None
        return
    previews = Previews(Shelf(folder, int(gibibytes * 2**30)))
    try:
        yield previews
    finally:
        previews.close()


def name_of(clip: Clip | Strip, state: os.stat_result) -> str:
    """The name of a preview's file: another one where the video, the clip or our encoder changes.

    state: of the video's file.
    """
    kind, version = ("jpg", strip.VERSION) if isinstance(clip, Strip) else ("mp4", preview.VERSION)
    told = (os.fspath(clip.path), state.st_size, state.st_mtime_ns, *clip[1:], version)
    return f"{hashlib.sha256(repr(told).encode()).hexdigest()}.{kind}"


async def _gone(request: Request) -> None:
    """Returns when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
