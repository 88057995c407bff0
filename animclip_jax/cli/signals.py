"""What Ctrl-C, SIGTERM and a closed pipe do to a command: one line at most, and an exit code."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Protocol

CLOSED_PIPE = 128 + 13  # SIGPIPE, which not every system has a name for


class Main(Protocol):
    """A verb's main function."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


class Terminated(KeyboardInterrupt):
    """SIGTERM as an exception, so that it cleans up what Ctrl-C does."""


def stoppable(program: str, after_sigterm: int = 128 + signal.SIGTERM) -> Callable[[Main], Main]:
    """Decorates a verb's main function: signals and a closed pipe end it in order.

    Ctrl-C and SIGTERM print one line, with the notes that were added to the exception on its way
    (`add_note`), and return 130 and `after_sigterm`. Where the reader of a pipe has gone, as in
    `animclip report RUN | head -1`, the command ends silently with 141, as other programs do.

    Args:
      program: as in "animclip train".
    """

    def decorate(main: Main) -> Main:
        @functools.wraps(main)
        def run(argv: list[str] | None = None) -> int:
            _show_any_text()
            with _sigterm_raises():
                try:
                    code = main(argv)
                    sys.stdout.flush()
                    return code
                except BrokenPipeError:
                    _forget_closed_pipes()
                    return CLOSED_PIPE
                except KeyboardInterrupt as stop:
                    with contextlib.suppress(BrokenPipeError):
                        print(f"{program}: {reason(stop)}", file=sys.stderr, flush=True)
                    _forget_closed_pipes()
                    return after_sigterm if isinstance(stop, Terminated) else 128 + signal.SIGINT

        return run

    return decorate


def reason(stop: KeyboardInterrupt) -> str:
    """Which signal it was, and what was noted on the exception, for a person."""
    name = "SIGTERM" if isinstance(stop, Terminated) else "Ctrl-C"
    return "; ".join([f"stopped by {name}", *getattr(stop, "__notes__", [])])


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    # Python lets the main thread alone set handlers.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _show_any_text() -> None:
    """Letters that a terminal can't show are written as their numbers, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _forget_closed_pipes() -> None:
    """Drops what is left for a reader that has gone, or Python would complain as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
