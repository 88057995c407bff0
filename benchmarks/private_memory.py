"""This process's memory that is no file's: pages of mapped files can be given up at any time."""

import threading
import time
from pathlib import Path

SECONDS = 0.01  # between two looks


def private_bytes() -> int:
    """What it has now, as Linux says."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


class Peak:
    """The most that it had while a block of code ran, in bytes, and how long that took.

    `seconds` is that of the block; `grown` is `bytes` less what there was before it.
    """

    def __enter__(self) -> "Peak":
        self._before = self.bytes = private_bytes()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self._done.set()
        self._watch.join()
        self._note()

    @property
    def grown(self) -> int:
        return self.bytes - self._before

    def _look(self) -> None:
        while not self._done.wait(SECONDS):
            self._note()

    def _note(self) -> None:
        self.bytes = max(self.bytes, private_bytes())
