"""What a command says while it works for minutes: which phase, and how long it has taken."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

SECONDS_BETWEEN = 20.0


@contextlib.contextmanager
def phase(doing: str, seconds_between: float = SECONDS_BETWEEN) -> Iterator[None]:
    """Prints on stderr what begins, how long it has taken every so often, and in all.

    Args:
      doing: as in "compiling the train step".
    """
    began, ended = time.perf_counter(), threading.Event()

    def say(rest: str) -> None:
        print(f"{doing}{rest}", file=sys.stderr, flush=True)

    def keep_saying() -> None:
        while not ended.wait(seconds_between):
            say(f": {time.perf_counter() - began:.0f} s so far")

    say(" ...")
    thread = threading.Thread(target=keep_saying, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    say(f": done in {time.perf_counter() - began:.0f} s")
