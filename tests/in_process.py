"""An engine that reads files in the test's own process, one after the other: no process starts."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from animclip_jax import files
from input_pipeline.media.workers import Limits, failure_of


class InProcess:
    """As `input_pipeline.media.engines.Engine`, without limits."""

    def at_once(self) -> int:
        return 1

    def run(
        self,
        function: Callable[[Any], Any],
        arguments: Iterable[Any],
        processes: int,
        limits: Limits,
    ) -> Iterator[tuple[int, Any]]:
        for number, argument in enumerate(arguments):
            try:
                result = function(argument)
            except files.DiskError:
                raise
            except (OSError, ValueError) as error:
                result = failure_of(error)
            yield number, result
