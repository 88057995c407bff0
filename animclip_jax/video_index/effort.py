"""How an index is made: what changes the work, and nothing of what is indexed."""

from __future__ import annotations

from dataclasses import dataclass

from input_pipeline.media import workers


@dataclass(frozen=True)
class Effort:
    """How it is done: none of these changes what is indexed.

    processes: None takes all cores. retry: reads quarantined files again.
    """

    batch_size: int = 16
    processes: int | None = None
    limits: workers.Limits = workers.Limits(seconds=1800.0)
    retry: bool = False
