"""A function over many hostile files, in processes that a time and a memory limit hold."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

from animclip_jax import files

# The exit code of a process that SIGKILL ended.
KILLED = -9
# Two threads that hide it at once would not both find it again.
_hiding = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What one file may cost. The memory is held on Linux alone.

    Raises ValueError for a limit that no file could keep.
    """

    seconds: float = 300.0
    gibibytes: float = 4.0  # of address space, beyond what the process starts with

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"time limit {self.seconds:g}: wanted more than 0 seconds a file")
        if not 0 < self.gibibytes < math.inf:
            raise ValueError(f"memory limit {self.gibibytes:g}: wanted more than 0 GiB a file")


class Failure(NamedTuple):
    """Why a file could not be used.

    later: whether that is no fault of the file, but of this machine, its disk or a network.
    """

    reason: str
    later: bool = False


def failure_of(error: Exception) -> Failure:
    """What a function that raised an error says of its file."""
    if isinstance(error, OSError) and error.errno is not None:
        return Failure(f"can't be read: {error.strerror}", later=True)
    # Whatever else a broken file causes, it is that file's fault.
    return Failure(str(error) or type(error).__name__)


def cores() -> int:
    """How many cores this process may use, which in a container is fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_once() -> int:
    """How many processes `run` is given where nobody says: a core each."""
    return cores()


@contextlib.contextmanager
def hidden_main() -> Iterator[None]:
    """Keeps spawned processes from importing the program's main module, and TensorFlow with it."""
    with _hiding:
        main = sys.modules["__main__"]
        hidden = {
            name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)
        }
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
                if worker.pipe not in ready and worker.deadline > time.monotonic():
                    continue
                result = worker.answer()
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


def run_with_second_tries(
    run: Callable[..., Iterator[tuple[int, Any]]],
    function: Callable[[Any], Any],
    read: Callable[[int], Any],
    numbers: Sequence[int],
    processes: int,
    limits: Limits,
) -> Iterator[tuple[int, Any]]:
    """(one of `numbers`, function(read(number)) or a Failure), in the order they are finished.

    A number whose Failure says `later` comes twice: once more at the end, from a process that has
    the memory to itself. The second result holds.

    Args:
      run: `run` of an engine; it raises what that does.
    """
    again = []
    for place, result in run(function, map(read, numbers), processes, limits):
        if isinstance(result, Failure) and result.later:
            again.append(numbers[place])
        yield numbers[place], result
    if again:
        for place, result in run(function, map(read, again), 1, limits):
            yield again[place], result


class Caller:
    """A function in a process that waits for arguments; `run` is for arguments that are there.

    The process starts with the first one, and another takes its place after a Failure. One thread
    at a time may call it.
    """

    def __init__(self, function: Callable[[Any], Any], limits: Limits):
        self.function, self.limits = function, limits
        self.worker: _Worker | None = None
        self.closed = False

    def __call__(self, argument: Any) -> Any:
        """function(argument), or a Failure; raises as `run`."""
        if self.worker is None or not self.worker.process.is_alive():
            self._start()
        assert self.worker is not None
        self.worker.give((0, argument))
        result = self.worker.answer()
        if isinstance(result, Failure):
            self._end()
        return result

    def close(self) -> None:
        """Ends the process, also while another thread waits for its answer; no other starts."""
        self.closed = True
        if self.worker is not None:
            self.worker.process.terminate()

    def _start(self) -> None:
        self._end()
        self.worker = _Worker(self.function, self.limits)
        self.worker.answer()
        if self.closed:
            self._end()
            raise RuntimeError("no process starts any more")

    def _end(self) -> None:
        if self.worker is not None:
            self.worker.process.kill()
            self.worker.process.join()
            self.worker.pipe.close()
            self.worker = None


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

    def answer(self) -> Any:
        """What the process says next, or a Failure where it crashed or passes its limit.

        Raises RuntimeError where it can't start, and files.DiskError where the function did.
        """
        nearest = self.deadline - time.monotonic()
        if not self.pipe.poll(None if nearest == math.inf else max(0.0, nearest)):
            return self._kill()
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            return self._crash()
        if isinstance(answer, files.DiskError):
            raise answer
        return answer

    def _crash(self) -> Failure:
        self.process.join()
        code = self.process.exitcode
        if self.number is None:
            raise RuntimeError(f"a process for decoding ended at its start (exit code {code})")
        # No codec does that to itself, and we did not: a kernel that is out of memory kills so.
        if code == KILLED:
            return Failure(f"the decoder was killed (exit code {code}): out of memory?", later=True)
        return Failure(f"the decoder crashed (exit code {code})")

    def _kill(self) -> Failure:
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
            except Exception as error:
                answer = failure_of(error)
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
