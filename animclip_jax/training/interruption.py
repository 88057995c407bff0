"""Ctrl-C and SIGTERM ask a run to stop after its step; a second Ctrl-C stops it at once."""

import os
import signal
from types import FrameType

import jax
from jax.experimental import multihost_utils


class Interruption:
    """A context manager; `signal_name` is None until one of the signals arrives.

    Of several processes all stop after the same step. There JAX listens to SIGTERM, and tells the
    others; Ctrl-C is passed on to it.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._agreed = False

    def __enter__(self) -> "Interruption":
        self.shared = jax.process_count() > 1
        numbers = [signal.SIGINT] if self.shared else [signal.SIGINT, signal.SIGTERM]
        self.previous = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal_name == "SIGINT" and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name
        if self.shared:
            os.kill(os.getpid(), signal.SIGTERM)

    def stops_after(self, step: int) -> bool:
        """Whether the run is to stop after that step; to be asked after every step, the last too.

        Before the first step, `step` is the number of steps done already.
        """
        if self.shared and multihost_utils.reached_preemption_sync_point(step):
            self.signal_name = self.signal_name or "SIGTERM"
            self._agreed = True
        return self.stopped

    @property
    def stopped(self) -> bool:
        """Whether a signal came in time to be obeyed; of several processes, by all of them."""
        return self._agreed if self.shared else self.signal_name is not None

    @property
    def exit_code(self) -> int:
        """What the process ends with: 130 after Ctrl-C, 0 after SIGTERM (a preemption)."""
        return 130 if self.signal_name == "SIGINT" else 0
