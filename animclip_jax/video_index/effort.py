"""How an index is made: how much at once, how fast, and which files are tried."""

from __future__ import annotations

from dataclasses import dataclass

from input_pipeline.media import workers
from input_pipeline.media.engines import Engine

# The last batch before features are kept is padded, which costs a CPU as much as segments would.
BATCH_SIZE, ON_CPU = 16, 4


@dataclass(frozen=True)
class Effort:
    """How it is done: none of these changes the segments of a file that is indexed.

    batch_size: segments that are encoded at once, whose embeddings differ by rounding; None: ON_CPU
    there, elsewhere BATCH_SIZE. limits: what a file may take; beyond, it is in quarantine.
    processes: None takes all cores. retry: reads quarantined files again. engine: what reads them;
    a cluster encodes them, too.
    """

    batch_size: int | None = None
    processes: int | None = None
    limits: workers.Limits = workers.Limits(seconds=1800.0)
    retry: bool = False
    engine: Engine = workers
