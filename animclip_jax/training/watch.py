"""A run's metrics, read one step late, so that the host never waits for the device."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from animclip_jax import files
from animclip_jax.animation.batch import Batch
from animclip_jax.runs import layout
from animclip_jax.runs.log import RunLog

# What has to be finite for the parameters to be.
DECISIVE = ("loss", "gradient_norm")


class Watch:
    """Logs every so many steps, and stops a run whose loss or gradients are no longer finite."""

    def __init__(
        self,
        workdir: Path,
        log: RunLog | None,
        *,
        first: int,
        last: int,
        every: int,
        batch_size: int,
        names: Callable[[np.ndarray], list[str]],
        learning_rate: Callable[[int], Any],
    ):
        """Begins to watch.

        Args:
          log: None logs nothing.
          first, last: steps done at the start and at the end of the training.
          every: steps between two entries of the log.
          batch_size: clips a step.
          names: a batch's `index` -> names of its items.
          learning_rate: steps done -> the learning rate of the next.
        """
        self.workdir, self.log, self.last, self.every = workdir, log, last, every
        self.batch_size, self.names, self.learning_rate = batch_size, names, learning_rate
        # What a step would take at the devices' peak; None where that is not known.
        self.peak_seconds: float | None = None
        self.pending: tuple[int, dict[str, jax.Array], np.ndarray] | None = None
        self.logged, self.since, self.waited = first, time.perf_counter(), 0.0

    def next_batch(self, batches: Iterator[Batch]) -> Batch:
        """The next of the batches; counts the time it is waited for."""
        began = time.perf_counter()
        batch = next(batches)
        self.waited += time.perf_counter() - began
        return batch

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While no step is under way: the time spent here is not that of steps."""
        began = time.perf_counter()
        yield
        self.since += time.perf_counter() - began

    def started(self, step: int, metrics: dict[str, jax.Array], index: np.ndarray) -> None:
        """A step is under way; the one before it is looked at.

        Raises:
          ValueError: that step's loss or gradients are not finite.
        """
        self.look()
        self.pending = step, metrics, index

    def look(self) -> None:
        """Waits for the step under way, and looks at it; raises as `started` does."""
        if self.pending is None:
            return
        (step, metrics, index), self.pending = self.pending, None
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if not all(math.isfinite(values[name]) for name in DECISIVE):
            self._refuse(step, values, index)
        if self.log is not None:
            self.log.done(step)
        if self.log is None or not (step % self.every == 0 or step == self.last):
            return
        now = time.perf_counter()
        seconds = (now - self.since) / (step - self.logged)
        values["learning_rate"] = float(self.learning_rate(step - 1))
        values["step_seconds"] = seconds
        values["clips_per_second"] = self.batch_size / seconds
        values["input_wait"] = self.waited / (now - self.since)
        if self.peak_seconds is not None:
            values["mfu"] = self.peak_seconds / seconds
        self.logged, self.since, self.waited = step, now, 0.0
        self.log.log(step, values)

    def _refuse(self, step: int, values: dict[str, float], index: np.ndarray) -> None:
        names = self.names(index)
        terms = ", ".join(f"{name} {value:g}" for name, value in values.items())
        batch, file = "Its batch", layout.NOT_FINITE
        if jax.process_count() > 1:  # Each knows its own part, and folders may be one.
            batch, file = "This process's part of its batch", layout.not_finite(jax.process_index())
        path = self.workdir / file
        files.write_text(path, f"step {step}: {terms}\n" + "".join(f"{name}\n" for name in names))
        raise ValueError(
            f"step {step} is not finite: {terms}. {batch} was made of {', '.join(names[:8])}; "
            f"all {len(names)} are in {path}. Checkpoints of earlier steps are intact. "
            "Check those items, lower optimizer.learning_rate, or raise optimizer.warmup_steps"
        )
