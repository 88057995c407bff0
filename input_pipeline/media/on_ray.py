"""Files on a Ray cluster: what `workers.run` does here, done by Ray's workers.

A worker keeps a process of its own for the files, as `workers.Caller` does: a file that crashes its
decoder or passes a limit costs itself alone there, too.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from animclip_jax import words
from input_pipeline.media.indexing import Read, Source, Task
from input_pipeline.media.segments import SegmentSettings, frames_of
from input_pipeline.media.workers import Caller, Failure, Limits

# Of a file whose worker or node dies: a system out of memory kills. Decoders, which a file can
# crash, have processes of their own.
RETRIES = 3
DIED = f"the worker that read it died, {RETRIES + 1} times"
# Files for each core: while one is read, the next is on its way.
AHEAD = 2
# Seconds that a cluster may take to answer.
PATIENCE = 60.0

# Of the function that this worker was last given, by its pickle: the process that it keeps.
_kept: dict[bytes, Caller] = {}


class Cluster:
    """A cluster that this process is connected to; an `engines.Engine`."""

    def at_once(self) -> int:
        """Two files for each core."""
        import ray

        return AHEAD * max(1, int(ray.cluster_resources().get("CPU", 0)))

    def run(
        self,
        function: Callable[[Any], Any],
        arguments: Iterable[Any],
        processes: int,
        limits: Limits,
    ) -> Iterator[tuple[int, Any]]:
        """As `workers.run`; files, which the arguments name, must be where all nodes see them.

        Args:
          processes: how many arguments are given to the cluster at a time.
        """
        import ray

        call = ray.remote(_call).options(num_cpus=1, max_retries=RETRIES)
        given = ray.put((function, limits))
        todo = iter(enumerate(arguments))
        running: dict[Any, tuple[int, Any]] = {}
        while True:
            for number, argument in itertools.islice(todo, processes - len(running)):
                running[call.remote(given, argument)] = number, argument
            if not running:
                return
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            number, argument = running.pop(ready)
            try:
                found = result(ready)
            except died():
                found = Failure(DIED, later=True)
            except FileNotFoundError:
                found = unseen(argument)
            yield number, found


@contextlib.contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A cluster, for the time of the block: that at HOST:PORT; of "" one on this machine.

    Raises:
      ValueError: Ray is not installed, or no cluster answers there. RuntimeError: it fails later.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Workers without a GPU don't see any.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    try:
        import ray
    except ImportError:
        raise ValueError(f"--engine=ray: Ray is not installed: {words.installs('ray')}") from None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        _require_cluster(address)
    else:
        options["include_dashboard"] = False
    try:
        ray.init(address or "local", **options)
    except Exception as error:  # Of many kinds, by version.
        name = f"ray:{address}" if address else "ray"
        raise ValueError(f"--engine={name}: {_first_line(error)}") from error
    try:
        yield Cluster()
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"Ray: {_first_line(error)}") from error
    finally:
        ray.shutdown()


def result(ready: Any) -> Any:
    """What a task returned; raises what it raised, or one of `died`."""
    import ray

    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def died() -> tuple[type[Exception], ...]:
    """What Ray raises where a worker, its node, or what one of them held is gone."""
    from ray import exceptions

    return (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
        exceptions.RayActorError,
    )


def unseen(path: Path) -> Failure:
    """What to say of a file that a node does not find, if this machine does not, either.

    Raises ValueError where it is here: no file is to blame.
    """
    if path.exists():
        raise ValueError(
            f"{path}: a node of the cluster does not see it; wanted a folder that all nodes see "
            "under the same path"
        )
    return Failure("no such file")


class Reading(NamedTuple):
    """How files are read in parts: `read_file` with its settings, these, segments of a part."""

    read: Callable[[Task], Read | Failure]
    settings: SegmentSettings
    size: int
    limits: Limits


def read_in_parts(how: Reading, source: Source) -> Iterator[Any]:
    """A task that streams what `read_file` returns of a file, then its frames in parts, in order.

    Of a file that can't be read it gives the Failure alone; a part is uint8 [N, T, H, W, 3].
    Raises FileNotFoundError where the file is not there.
    """
    _require_file(source.path)
    with tempfile.TemporaryDirectory(prefix="animclip-") as folder:
        spool = Path(folder) / "frames"
        found = _caller(how.read, how.limits)(Task(source.path, spool, source.subtitles))
        yield found
        if isinstance(found, Failure):
            return
        frames = frames_of(spool, how.settings)
        for start in range(0, len(frames), how.size):
            yield np.array(frames[start : start + how.size])


def _call(given: tuple[Callable[[Any], Any], Limits], argument: Any) -> Any:
    if isinstance(argument, Path):
        _require_file(argument)
    return _caller(*given)(argument)


def _require_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")


def _caller(function: Callable[[Any], Any], limits: Limits) -> Caller:
    """The process that this worker keeps for a function."""
    key = pickle.dumps((function, limits))
    if key not in _kept:
        for caller in _kept.values():
            caller.close()
        _kept.clear()
        _kept[key] = Caller(function, limits)
    return _kept[key]


def _require_cluster(address: str) -> None:
    """Raises ValueError where no cluster is at HOST:PORT; Ray itself waits for one, for minutes."""
    host, _, port = address.rpartition(":")
    wanted = "wanted HOST:PORT of a cluster that this machine belongs to, as ray start prints it"
    if not host or not port.isdecimal() or "/" in address:
        raise ValueError(f"--engine=ray:{address}: {wanted}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"--engine=ray:{address}: nobody answers there ({error}); {wanted}"
        ) from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise ValueError(f"--engine=ray:{address}: what answers there is no Ray cluster; {wanted}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
