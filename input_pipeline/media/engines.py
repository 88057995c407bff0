"""Where the work of each file is done: in processes here, or on a cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from input_pipeline.media import workers


class Engine(Protocol):
    """What runs a function over many files; the module `workers` is one."""

    def at_once(self) -> int:
        """How many files it takes at once, unless a caller says otherwise."""

    def run(
        self,
        function: Callable[[Any], Any],
        arguments: Iterable[Any],
        processes: int,
        limits: workers.Limits,
    ) -> Iterator[tuple[int, Any]]:
        """As `workers.run`."""


@contextlib.contextmanager
def opened(name: str | None) -> Iterator[Engine]:
    """An engine by its name on a command line, for the time of the block; None is this machine.

    Raises:
      ValueError: there is no such engine, its package is not installed, or no cluster is there.
    """
    if name is None:
        yield workers
        return
    kind, colon, address = name.partition(":")
    if kind != "ray" or (colon and not address):
        raise ValueError(f"--engine={name}: wanted ray or ray:HOST:PORT")
    from input_pipeline.media import on_ray  # It brings the decoders of videos.

    with on_ray.connected(address) as cluster:
        yield cluster
