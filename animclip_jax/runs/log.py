"""What a run says: metrics.jsonl, TensorBoard scalars, a tracker and a progress bar."""

import contextlib
import json
import math
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from animclip_jax import files
from animclip_jax.runs import layout
from animclip_jax.runs.tracker import Tracker

# Where there is no terminal, a line is printed after this many seconds or this share of the run.
LINE_SECONDS = 10.0
LINE_SHARE = 0.1
# TensorBoard sees numbers after so many seconds, for each time waits for the disk.
FLUSH_SECONDS = 10.0


class RunLog:
    """Writes into WORKDIR and onto stderr; a context manager.

    Steps are counted as steps done: the first step of a run is logged as 1, the last as
    `total_steps`.
    """

    def __init__(
        self,
        workdir: Path,
        total_steps: int,
        first_step: int,
        quiet: bool = False,
        tracker: Tracker | None = None,
    ):
        """Opens the log of a run that goes on after `first_step` steps; 0 begins anew.

        What an earlier run logged beyond that step is dropped: those steps are done again.

        Args:
          quiet: print nothing.
          tracker: gets the same numbers, and is closed with the log.

        Raises:
          ValueError: WORKDIR/metrics.jsonl holds a line that is no log line, other than a last one
            that a kill cut off.
        """
        self._total, self._first, self._quiet = total_steps, first_step, quiet
        self._workdir, self._tracker = workdir, tracker
        with contextlib.ExitStack() as stack:
            # The first to be entered: it is closed where the others can't be opened, too.
            if tracker is not None:
                stack.enter_context(contextlib.closing(tracker))
            workdir.mkdir(parents=True, exist_ok=True)
            self._last = _forget_after(workdir / layout.METRICS, first_step)
            stack.enter_context(files.writing(workdir / layout.METRICS))
            lines = (workdir / layout.METRICS).open("a", buffering=1, encoding="utf-8")
            self._lines = stack.enter_context(lines)
            board = _Board(workdir / layout.TENSORBOARD, first_step + 1)
            self._board = stack.enter_context(contextlib.closing(board))
            self._files = stack.pop_all()
        self._began = self._spoke = time.monotonic()
        self._spoke_at = first_step
        self.bar: tqdm | None = None
        if not quiet and sys.stderr.isatty():
            self.bar = tqdm(total=total_steps, initial=first_step, unit="step", dynamic_ncols=True)
            self.bar.set_description("compiling the step")
        elif first_step < total_steps:
            self.note("compiling the train step; this can take some minutes")

    def done(self, step: int) -> None:
        """Moves the bar: so many steps are done, whether they are logged or not."""
        if self.bar is not None:
            self.bar.set_description(None, refresh=False)
            self.bar.update(step - self.bar.n)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Records the numbers of a step.

        Args:
          metrics: by name; one that is not finite becomes null in metrics.jsonl. `loss`,
            `clips_per_second`, `input_wait` and `mfu` (shares) are shown as well, where given.

        Raises:
          ValueError: the step was logged before. files.DiskError: the disk is full.
        """
        if step <= self._last:
            raise ValueError(f"step {step} comes after step {self._last}, which is logged already")
        self._last = step
        values = {name: float(value) for name, value in metrics.items()}
        finite = {name: v if math.isfinite(v) else None for name, v in values.items()}
        with files.writing(self._workdir / layout.METRICS):
            self._lines.write(json.dumps({"step": step} | finite, allow_nan=False) + "\n")
            self._board.write(step, values)
        if self._tracker is not None:
            self._tracker.log(step, finite)
        self._show(step, values)

    def note(self, text: str) -> None:
        """Prints a line on stderr, above the bar where there is one."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Writes out what is buffered."""
        if self.bar is not None:
            self.bar.close()
        self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _show(self, step: int, values: dict[str, float]) -> None:
        shown = {}
        if "loss" in values:
            shown["loss"] = f"{values['loss']:.4g}"
        if "clips_per_second" in values:
            shown["clips/s"] = f"{values['clips_per_second']:.4g}"
        for name, label in (("input_wait", "input wait"), ("mfu", "MFU")):
            if name in values:
                shown[label] = f"{values[name]:.0%}"
        if self.bar is not None:
            self.bar.set_postfix(shown, refresh=False)
            self.bar.update(step - self.bar.n)
            return
        now = time.monotonic()
        waited = now - self._spoke >= LINE_SECONDS
        moved = step - self._spoke_at >= LINE_SHARE * self._total
        if not (waited or moved or step == self._total):
            return
        self._spoke, self._spoke_at = now, step
        left = (now - self._began) / max(1, step - self._first) * (self._total - step)
        parts = [f"step {step}/{self._total}", *(f"{name} {text}" for name, text in shown.items())]
        self.note(", ".join([*parts, f"{tqdm.format_interval(left)} left"]))


class _Board:
    """TensorBoard's file of scalars, written by the thread that logs.

    tensorboardX's own SummaryWriter writes in a thread, which a full disk ends without a word; then
    its queue fills up, and the run stands still.
    """

    def __init__(self, directory: Path, purge_step: int):
        """What an earlier run wrote from `purge_step` on is not shown any more."""
        # Imported here: it takes a second, and who only reads this module has no use for it.
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import RecordWriter

        directory.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
        self._flushed = 0.0
        self._records = RecordWriter(str(directory / name))
        start = SessionLog(status=SessionLog.START)
        for event in (
            Event(wall_time=time.time(), file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=purge_step, session_log=start),
        ):
            self._records.write(event.SerializeToString())

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds the numbers of a step."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in values.items():
            event = Event(wall_time=time.time(), step=step, summary=scalar(name, value))
            self._records.write(event.SerializeToString())
        if time.time() - self._flushed > FLUSH_SECONDS:
            self._records.flush()
            self._flushed = time.time()

    def close(self) -> None:
        self._records.close()


def _forget_after(path: Path, step: int) -> int:
    """Drops a torn last line and the lines of later steps; returns the last step kept, or -1."""
    if not path.exists():
        return -1
    lines = path.read_bytes().splitlines()
    kept: list[tuple[int, bytes]] = []
    for number, line in enumerate(lines, 1):
        found = _step_of(line)
        if found is None and number < len(lines):
            raise ValueError(
                f"{path}, line {number}: found {line[:80]!r}, wanted a JSON object with a whole "
                "number as 'step': repair or delete the line"
            )
        if found is not None and found <= step:
            kept.append((found, line))
    files.write_bytes(path, b"".join(line + b"\n" for _, line in kept))
    return kept[-1][0] if kept else -1


def _step_of(line: bytes) -> int | None:
    try:
        entry: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = entry.get("step") if isinstance(entry, dict) else None
    return step if isinstance(step, int) else None
