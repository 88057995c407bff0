"""A function over many hostile files, in processes that a time and a memory limit hold."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax import files


class Limits(NamedTuple):
    """What one file may cost. The memory is held on Linux alone."""

    seconds: float = 300.0
    gibibytes: float = 4.0  # of address space, beyond what the process starts with


class Failure(NamedTuple):
    """Why a file could not be used."""

    reason: str


def cores() -> int:
    """How many cores this process may use, which in a container is fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Keeps spawned processes from importing the program's main module, and TensorFlow with it."""
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    try:
        main.__spec__ = None
        if "__file__" in hidden:
            del main.__file__
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


def run(
    function: Callable[[Any], Any], arguments: Iterable[Any], processes: int, limits: Limits
) -> Iterator[tuple[int, Any]]:
    """(number of an argument, function(argument) or a Failure), in the order they are finished.

    An argument is taken when a process is free for it. A Failure says what the function raised, or
    that its process crashed or passed a limit; another process takes its place. Function and
    arguments are pickled into spawned processes, which don't import the main module: the function
    must stand in another.
    Raises RuntimeError where a process can't start, and files.DiskError where the function did.
    """
    todo = iter(enumerate(arguments))
    workers = [_Worker(function, limits) for _ in range(processes)]
    try:
        while workers:
            nearest = min(worker.deadline for worker in workers)
            patience = None if nearest == math.inf else max(0.0, nearest - time.monotonic())
            ready = connection.wait([worker.pipe for worker in workers], patience)
            for place, worker in enumerate(list(workers)):
                if worker.pipe in ready:
                    try:
                        result = worker.pipe.recv()
                    except (EOFError, OSError):
                        result = worker.crash()
                elif worker.deadline <= time.monotonic() and not worker.pipe.poll():
                    result = worker.kill()
                else:
                    continue
                if isinstance(result, files.DiskError):
                    raise result
                number = worker.number
                if not worker.process.is_alive():
                    workers[place] = worker = _Worker(function, limits)
                else:
                    worker.give(next(todo, None))
                if number is not None:
                    yield number, result
            workers = [worker for worker in workers if not worker.dismissed]
    finally:
        for worker in workers:
            worker.process.terminate()
            worker.process.join()


@dataclass
class _Worker:
    """A process, and the number of the argument it is at: None while it starts."""

    function: Callable[[Any], Any]
    limits: Limits
    number: int | None = None
    deadline: float = math.inf
    dismissed: bool = False
    process: Any = field(init=False)
    pipe: connection.Connection = field(init=False)

    def __post_init__(self) -> None:
        # Spawned, not forked: TensorFlow and JAX have threads, and a fork of those can hang.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, self.function, self.limits.gibibytes)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        with hidden_main():
            self.process.start()
        theirs.close()

    def give(self, task: tuple[int, Any] | None) -> None:
        """Sends the next argument, or sends the process home where there is none."""
        # A process that is gone is found by the next wait.
        with contextlib.suppress(OSError):
            self.pipe.send(task)
        if task is None:
            self.process.join()
            self.dismissed = True
        else:
            self.number = task[0]
            self.deadline = time.monotonic() + self.limits.seconds

    def crash(self) -> Failure:
        self.process.join()
        code = self.process.exitcode
        if self.number is None:
            raise RuntimeError(f"a process for decoding ended at its start (exit code {code})")
        return Failure(f"the decoder crashed (exit code {code})")

    def kill(self) -> Failure:
        self.process.kill()
        self.process.join()
        return Failure(f"not decoded after {self.limits.seconds:g} seconds")


def _work(pipe: connection.Connection, function: Callable[[Any], Any], gibibytes: float) -> None:
    """A process' life: says that it is up, then answers each task until None or its parent ends."""
    # Ctrl-C is for the parent, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(gibibytes)
    try:
        pipe.send(None)
        while (task := pipe.recv()) is not None:
            try:
                answer = function(task[1])
            except MemoryError:
                answer = Failure(f"decoding it takes more than {gibibytes:g} GiB of memory")
            except files.DiskError as error:  # Our own disk's: no file is to blame.
                answer = error
            except Exception as error:  # Whatever a broken file causes, it is that file's fault.
                answer = Failure(str(error) or type(error).__name__)
            pipe.send(answer)
    except (EOFError, BrokenPipeError):
        return


def _limit_memory(gibibytes: float) -> None:
    statistics = Path("/proc/self/statm")
    if not statistics.is_file():
        return
    import resource  # Not on Windows.

    # The crash of a codec is reported, not dumped.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    now = int(statistics.read_text().split()[0]) * resource.getpagesize()
    most = now + int(gibibytes * 2**30)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
