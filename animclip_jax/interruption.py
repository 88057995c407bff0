"""Ctrl-C and SIGTERM ask a run to stop after its step; a second Ctrl-C stops it at once."""

import signal
from types import FrameType


class Interruption:
    """A context manager; `signal_name` is None until one of the signals arrives."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    def __enter__(self) -> "Interruption":
        self.previous = {
            number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.signal_name == "SIGINT" and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name

    @property
    def exit_code(self) -> int:
        """What the process ends with: 130 after Ctrl-C, 0 after SIGTERM (a preemption)."""
        return 130 if self.signal_name == "SIGINT" else 0
