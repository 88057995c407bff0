"""How an index is made: what changes the work, and nothing of what is indexed."""

from __future__ import annotations

from dataclasses import dataclass

from input_pipeline.media import workers
from input_pipeline.media.engines import Engine

# The last batch before features are kept is padded, which costs a CPU as much as segments would.
BATCH_SIZE, ON_CPU = 16, 4


@dataclass(frozen=True)
class Effort:
    """How it is done: none of these changes what is indexed.

    batch_size: segments that are encoded at once; None: ON_CPU there, elsewhere BATCH_SIZE.
    processes: None takes all cores. retry: reads quarantined files again. engine: what reads them;
    a cluster encodes them, too.
    """

    batch_size: int | None = None
    processes: int | None = None
    limits: workers.Limits = workers.Limits(seconds=1800.0)
    retry: bool = False
    engine: Engine = workers
